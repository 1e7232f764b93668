"""Handlers receive and return the values of the page's components by name."""

from __future__ import annotations

from typing import Any

from nst_adain.web.form import asked, components, filled


def test_values_are_passed_by_name_and_back() -> None:
    photo, first, second = object(), object(), object()  # real ones leave an event loop behind
    form: dict[str, Any] = {"photo": photo, "shares": [first, second]}
    assert components(form) == [photo, first, second]

    def handler(values: dict[str, Any], more: int) -> dict[str, Any]:
        assert values == {"photo": "a", "shares": [1, 2]}
        return {"shares": [3, more]}

    change = filled(asked(handler, form), form)
    assert change({photo: "a", first: 1, second: 2}, 4) == {first: 3, second: 4}
