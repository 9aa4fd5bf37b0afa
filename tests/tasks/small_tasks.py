"""Small samples that a head can learn, without files: colours, squares that come and go, fields through a season."""

import torch
from torch.utils.data import Dataset

CLASSES = ("red", "green", "blue")


class Colours(Dataset):
    """Images of one colour with noise; the class is the colour, the mask says where a bright square is."""

    classes = CLASSES

    def __init__(self, count=8, seed=0, side=32):
        self.count, self.seed, self.side = count, seed, side

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(1000 * self.seed + index)
        image = 0.3 * torch.randn(1, 1, 3, self.side, self.side, generator=generator)
        label = index % 3
        image[:, :, label] += 2.0
        mask = torch.zeros(self.side, self.side, dtype=torch.int64)
        top, left = torch.randint(0, self.side // 2, (2,), generator=generator).tolist()
        mask[top : top + self.side // 2, left : left + self.side // 2] = 1
        image += 2.0 * mask
        return {
            "id": f"{self.seed}-{index}",
            "hr": image,
            "hr_day": torch.zeros(1, 1).long(),
            "hr_valid": torch.ones(1, 1).bool(),
            "label": torch.tensor(label),
            "mask": mask,
        }

    def moved(self, index, seed):
        """Mirrored or not, as the seed wants it."""
        sample = self[index]
        if seed % 2:
            sample |= {"hr": sample["hr"].flip(-1), "mask": sample["mask"].flip(-1)}
        return sample


class Mixtures(Colours):
    """The eight mixtures of three colours; every colour that is in one is a label."""

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(1000 * self.seed + index)
        label = torch.tensor([bool(index >> bit & 1) for bit in range(3)])
        image = 0.3 * torch.randn(1, 1, 3, self.side, self.side, generator=generator)
        image += 2.0 * label.view(3, 1, 1)
        return {"id": f"{self.seed}-{index}", "hr": image, "hr_day": torch.zeros(1, 1).long(), "label": label}


class Pairs(Colours):
    """Two dates of one place; the bright square of `Colours` has come, or gone, and the mask says where."""

    classes = ("unchanged", "changed")

    def __getitem__(self, index):
        sample = super().__getitem__(index)
        generator = torch.Generator().manual_seed(1000 * self.seed + 500 + index)
        other = sample["hr"] - 2.0 * sample["mask"] + 0.1 * torch.randn(sample["hr"].shape, generator=generator)
        dates = [other, sample["hr"]]
        hr = torch.cat(dates[:: 1 if index % 2 else -1], dim=1)
        return {"id": sample["id"], "hr": hr, "hr_day": torch.zeros(1, 2).long(), "mask": sample["mask"]}


class Fields(Colours):
    """Sentinel series of four crops in squares of cells: S2 tells when they are green, S1 how rough they are."""

    classes = ("early smooth", "late smooth", "early rough", "late rough")

    def __init__(self, count=8, seed=0, side=4):
        super().__init__(count, seed, side)

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(1000 * self.seed + index)
        fields = torch.randint(0, 4, (self.side // 2, self.side // 2), generator=generator)
        mask = fields.repeat_interleave(2, 0).repeat_interleave(2, 1)
        late, rough = mask % 2, mask // 2
        s2 = 0.3 * torch.randn(1, 2, 10, self.side, self.side, generator=generator)
        s2 += 2.0 * torch.stack([1 - late, late])[:, None]
        s1 = 0.3 * torch.randn(1, 3, 2, self.side, self.side, generator=generator) + 2.0 * rough
        days = {"s2_day": torch.tensor([[100, 200]]), "s1_day": torch.tensor([[90, 150, 210]])}
        return {"id": f"{self.seed}-{index}", "s2": s2, "s1": s1, **days, "mask": mask}
