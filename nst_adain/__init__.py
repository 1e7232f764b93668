"""Arbitrary style transfer with adaptive instance normalisation: this photo in the style of that picture.

    from nst_adain import Stylizer

    stylizer = Stylizer.from_pretrained()
    stylizer("photo.jpg", "painting.jpg", alpha=0.8).save("out.png")

After Huang & Belongie 2017, https://arxiv.org/abs/1703.06868.
"""

from nst_adain.functional import ChannelStats, adain, blend, channel_stats
from nst_adain.images import ImageError, load_image, save_image
from nst_adain.models import Architecture, Decoder, Encoder, StyleTransfer
from nst_adain.pretrained import available_models, convert_published
from nst_adain.stylizer import EncodedContent, Stylizer

__version__ = "0.1.0"

__all__ = [
    "Architecture",
    "ChannelStats",
    "Decoder",
    "EncodedContent",
    "Encoder",
    "ImageError",
    "StyleTransfer",
    "Stylizer",
    "adain",
    "available_models",
    "blend",
    "channel_stats",
    "convert_published",
    "load_image",
    "save_image",
]
