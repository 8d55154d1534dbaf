"""The few-shot diffusion model in flax.nnx: the living reference that lightning_nsd's numbers are held against.

Files, classes, arguments and attributes have the names they have in lightning_nsd. Images are `(B, N, C, H, W)` and
`(b, C, H, W)` as there; parameters are computed with in the dtype they are given.
"""
