"""Renders any photo in the style of any picture: arbitrary style transfer with adaptive instance normalisation (AdaIN).

    from nst_adain import Stylizer

    stylizer = Stylizer.from_pretrained()
    stylizer("photo.jpg", "painting.jpg", alpha=0.8).save("out.png")

After Huang & Belongie 2017, https://arxiv.org/abs/1703.06868.
"""

import lazy_loader

# The names are in __init__.pyi. The first one used loads torch.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

__version__ = "0.1.0"
