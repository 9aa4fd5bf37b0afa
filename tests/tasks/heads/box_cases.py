"""Features without a model, and images to learn by heart, for the tests of heads that find boxes."""

import torch

from skysense_nb.models import Features

WIDTHS = {"hr": (8, 8, 8, 8)}
CLASSES = ("ship", "dam", "car")
SIDE = 64


def random_features(images=3, seed=0, dtype=torch.float32):
    """Fixed maps of images of 64 px at strides 4 to 32."""
    dice = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=dice).to(dtype)  # noqa: E731
    cells = SIDE // 32
    maps = [draw(images, 1, 8, cells * scale, cells * scale) for scale in (8, 4, 2, 1)]
    fused = draw(images, 8, cells, cells)
    return Features({"hr": maps}, fused=fused, pooled=fused.mean((2, 3)), valid=torch.ones(images, 1).bool())


def only(features, image):
    """The features of one image."""
    pick = lambda values: values[image : image + 1]  # noqa: E731
    maps = {"hr": [pick(level) for level in features.maps["hr"]]}
    return Features(maps, fused=pick(features.fused), pooled=pick(features.pooled), valid=pick(features.valid))


def learn(head, features, batch, steps, rate):
    """Trains a head on one batch."""
    optimizer = torch.optim.AdamW(head.parameters(), lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        sum(head.loss(head(features, batch), batch).values()).backward()
        torch.nn.utils.clip_grad_norm_(head.parameters(), 5.0)
        optimizer.step()
    return head.predict(head(features, batch), batch)
