"""Heads: what each task puts on top of a model's features.

`LabelHead` and `MultiLabelHead` (a place), `UPerHead` and `CellHead` (its pixels), `ChangeHead` (two dates),
`BoxHead` and `OrientedBoxHead` (objects). `widths_of` tells a head what maps a model gives.
"""
