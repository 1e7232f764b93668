"""The weights that a run starts from: random ones, those of another run, of a narrower model, of the loss network."""

from __future__ import annotations

import copy
import dataclasses
import math
from pathlib import Path

import pytest
import torch
from conftest import weights_of
from safetensors.torch import load_file, save_file

from nst_adain.errors import UsageError
from nst_adain.models import strips
from nst_adain.models.architecture import LAYERS, Architecture
from nst_adain.models.networks import StyleTransfer
from nst_adain.models.pretrained import find_weights, load_model, read_weights, save_weights
from train.config import TrainConfig
from train.data import center_crop
from train.initial import calibrate, load_initial
from train.trainer import Trainer


def test_random_layers_start_alive(config: TrainConfig) -> None:
    trainer = Trainer("fit", config)
    model = trainer.raw.model
    alive: dict[str, torch.Tensor] = {}

    def watch(key: str, output: torch.Tensor) -> None:
        alive[key] = (output > 0).any(3).any(2).any(0)

    hidden = [name for name in dict(model.named_modules()) if ".conv" in name and name != "decoder.conv1_1"]
    for name in hidden:
        model.get_submodule(name).register_forward_hook(lambda layer, _, output, name=name: watch(name, output))
    with torch.inference_mode():
        sides = [[center_crop(p, 32) for p in side.train[-4:]] for side in (trainer.content, trainer.style)]
        output = model(*(torch.stack(crops).float() / 255 for crops in sides))
    assert alive.keys() == set(hidden)
    dead = {key: float(channels.float().mean()) for key, channels in alive.items() if channels.float().mean() <= 0.9}
    assert not dead
    assert 0 < float(output.mean()) < 1


def test_large_pictures_are_measured_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = StyleTransfer(Architecture(width=1 / 8))
    alike = copy.deepcopy(model)
    content, style = torch.rand(2, 3, 128, 64), torch.rand(2, 3, 128, 64)
    content[:, :, 64:] *= 0.1
    calibrate(model, content, style)
    monkeypatch.setattr(strips, "_AT_ONCE", 1)
    calibrate(alike, content, style)
    torch.testing.assert_close(dict(alike.state_dict()), dict(model.state_dict()))


def test_trained_weights_start_a_fit(config: TrainConfig) -> None:
    Trainer("fit", config).run()
    trained = weights_of(config.out)
    assert trained["modulator.output.weight"].abs().max() > 0
    init = config.out / "weights.safetensors"
    model = Trainer("fit", dataclasses.replace(config, init=init, out=config.out / "more")).raw.model
    torch.testing.assert_close(dict(model.state_dict()), trained, rtol=0, atol=0)


@pytest.mark.parametrize("width", [1 / 8, 1.0])
def test_distilled_weights_start_a_fit(config: TrainConfig, width: float) -> None:
    config = dataclasses.replace(config, width=width, steps=2)
    Trainer("distill", config).run()
    distilled = config.out / "weights.safetensors"
    assert all(key.startswith("encoder.") for key in weights_of(config.out))
    fit = dataclasses.replace(config, init=distilled, out=config.out / "fit", train_encoder=False)
    Trainer("fit", fit).run()
    for key, value in weights_of(config.out).items():
        torch.testing.assert_close(weights_of(fit.out)[key], value)  # a frozen encoder stays
    load_model(fit.out / "weights.safetensors")  # and comes with the decoder


def test_a_model_can_be_widened_and_goes_on_as_it_was(config: TrainConfig) -> None:
    Trainer("fit", config).run()
    narrow, init = load_model(config.out / "weights.safetensors"), config.out / "weights.safetensors"
    wider = dataclasses.replace(config, init=init, width=0.25, modulation=12, out=config.out / "wider")
    trainer = Trainer("fit", wider)
    content, style = (torch.stack([center_crop(p, 32) for p in side.train]).float() / 255 for side in
                      (trainer.content, trainer.style))  # fmt: skip
    with torch.inference_mode():
        torch.testing.assert_close(trainer.raw.model(content, style), narrow(content, style), atol=1e-5, rtol=0)
        features = trainer.raw.model.encode(content)
    for layer, values in features.items():  # and the new channels are alive
        old = narrow.arch.tap_channels[narrow.arch.taps.index(layer)]
        assert values.shape[1] == 2 * old
        assert (values[:, old:].amax(dim=(0, 2, 3)) > 0).float().mean() > 0.9
    trainer.run()
    assert (weights_of(wider.out)["decoder.conv3_2.weight"][:4, 4:] != 0).any()  # what was there learns to see them
    assert '"steps_done": 8' in read_weights(wider.out / "weights.safetensors")[1]["recipe"]


def test_an_encoder_alone_can_be_widened_whatever_its_taps(config: TrainConfig) -> None:
    narrow = dataclasses.replace(config, topology="vgg16", width=1 / 16, taps=("relu4_1",), modulation=16, steps=1)
    Trainer("distill", narrow).run()
    small = weights_of(config.out)["encoder.conv2_1.weight"]
    wide = Trainer(
        "fit", dataclasses.replace(narrow, width=1 / 8, taps=(), modulation=8, init=config.out / "weights.safetensors")
    ).raw.model
    assert torch.equal(wide.encoder.get_parameter("conv2_1.weight")[: len(small), : small.shape[1]].cpu(), small)


def test_an_encoder_that_is_not_trained_cannot_be_widened(config: TrainConfig) -> None:
    Trainer("fit", dataclasses.replace(config, steps=1)).run()
    init = config.out / "weights.safetensors"
    wider = dataclasses.replace(config, init=init, width=0.25, train_encoder=False, out=config.out / "wider")
    with pytest.raises(ValueError, match=r"weights\.safetensors: expected the whole encoder.*found a narrower conv1_1"):
        Trainer("fit", wider)


def test_an_encoder_of_another_topology_is_named(config: TrainConfig) -> None:
    Trainer("distill", dataclasses.replace(config, steps=1)).run()
    other = dataclasses.replace(config, topology="vgg16", init=config.out / "weights.safetensors")
    with pytest.raises(ValueError, match=r"weights\.safetensors: expected weights of Architecture\(topology='vgg16'"):
        Trainer("fit", other)


def test_an_encoder_that_stays_is_the_loss_networks(config: TrainConfig) -> None:
    with pytest.raises(UsageError, match=r"train_encoder: .*--init with an encoder, or the topology and width of the teacher"):
        Trainer("fit", dataclasses.replace(config, train_encoder=False))


def test_an_encoder_of_ones_own_stays_with_its_decoder(config: TrainConfig, teacher: Path) -> None:
    config = dataclasses.replace(config, topology="vgg19", width=1.0, taps=("relu4_1",), modulation=0, teacher=teacher, steps=1)
    Trainer("distill", config).run()
    init = config.out / "weights.safetensors"
    fit = dataclasses.replace(config, init=init, train_encoder=False, out=config.out.with_name("fit"))
    Trainer("fit", fit).run()
    model, own = load_model(fit.out / "weights.safetensors"), weights_of(config.out)
    torch.testing.assert_close(
        {f"encoder.{key}": value for key, value in model.encoder.state_dict().items()}, own, rtol=0, atol=0
    )


def test_a_decoder_alone_to_start_from_gets_the_teachers_encoder(config: TrainConfig) -> None:
    # The teacher's own width.
    frozen = dataclasses.replace(config, topology="vgg16", width=1 / 8, taps=LAYERS, train_encoder=False)
    arch = frozen.arch
    decoder = {k: v for k, v in StyleTransfer(arch).state_dict().items() if k.startswith("decoder.")}
    save_weights(config.out.with_name("decoder.safetensors"), arch, decoder)
    model = Trainer("fit", dataclasses.replace(frozen, init=config.out.with_name("decoder.safetensors"))).raw.model
    teacher = read_weights(config.teacher)[0]
    for key, value in model.state_dict().items():
        if not key.startswith("modulator."):  # which the file does not have
            assert torch.equal(value.cpu(), decoder[key] if key.startswith("decoder.") else teacher[key])
    with pytest.raises(
        ValueError,
        match=r"decoder\.safetensors: expected weights of .*, or of a narrower one: decoder\.conv4_1\.weight has the shape",
    ):
        load_initial(StyleTransfer(Architecture("vgg16", 1 / 16, LAYERS)), config.out.with_name("decoder.safetensors"))


def test_a_decoder_is_trained_with_the_encoder_that_it_knows(config: TrainConfig, tmp_path: Path, teacher: Path) -> None:
    changed = load_file(teacher)
    changed["conv2_1.weight"] *= 1.3
    save_file(changed, tmp_path / "other.safetensors")
    settings = dataclasses.replace(
        config, teacher=tmp_path / "other.safetensors", topology="vgg19", width=1.0, train_encoder=False, modulation=48,
        init=find_weights("vgg19"),
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"other\.safetensors: expected the encoder that .*vgg19.* its conv2_1 has weights"):
        Trainer("fit", settings)


def test_weights_that_are_not_finite_start_nothing(config: TrainConfig, tmp_path: Path) -> None:
    tensors = StyleTransfer(config.arch).state_dict()
    tensors["decoder.conv2_1.bias"][0] = math.nan
    save_file(tensors, tmp_path / "nan.safetensors")
    with pytest.raises(ValueError, match=r"nan\.safetensors: expected finite weights, found others in decoder\.conv2_1\.bias"):
        Trainer("fit", dataclasses.replace(config, init=tmp_path / "nan.safetensors"))
