"""The diffusion process: schedules, loss and samplers."""
