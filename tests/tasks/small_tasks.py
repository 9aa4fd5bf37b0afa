"""Small samples that a head can learn, without files: colours, stripes and squares."""

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
