"""Small mistakes in the torch side, each of which the ladder must notice; `python -m parity_tests.mutants` tries them.

Every mutant replaces one piece of text in one file. `module` is a part of the name of the module, table, step or
parameter that the failing check must name; `tests` are the files of the ladder that are run, the nearest first.
"""

from dataclasses import dataclass

OP, MODULE, MODEL, STEP = "test_op.py", "test_module.py", "test_model.py", "test_step.py"
SCHEDULE, SAMPLER, DROPOUT, METRIC = "test_schedule.py", "test_sampler.py", "test_dropout.py", "test_metric.py"
TRUTH, FIT, WEIGHTS = "test_truth.py", "test_fit.py", "test_weights.py"


@dataclass(frozen=True)
class Mutant:
    """One mistake.

    Attributes:
        file: inside lightning_nsd.
        original: text that stands there once.
        replaced: what stands there instead.
        module: what the first failure must name.
        tests: files of the ladder that have to notice.
    """

    file: str
    original: str
    replaced: str
    module: str
    tests: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.file}: {self.original.strip()!r} → {self.replaced.strip()!r}"


ATTENTION, BLOCKS, DIT = "model/attention.py", "model/unet_blocks.py", "model/dit.py"
DISCRETE = "model/discrete_context.py"
SPATIAL, FEW_SHOT, GUIDANCE = "model/spatial_context.py", "model/few_shot_denoiser.py", "model/guidance.py"
GAUSSIAN, LOSS, SCHEDULES, SAMPLERS, SPACING = (
    "diffusion/gaussian.py",
    "diffusion/loss.py",
    "diffusion/schedule.py",
    "diffusion/sampler.py",
    "diffusion/spacing.py",
)
ILVR = "diffusion/ilvr.py"
FRECHET, KERNEL = "metrics/frechet.py", "metrics/kernel.py"
ORIGINALITY, RECOGNISABILITY = "metrics/originality.py", "metrics/recognisability.py"
CONFIDENCE = "metrics/confidence.py"
LAYOUT, LATENTS = "convert/jax_layout.py", "training/latents.py"
SCORES = "metrics/inception_scores.py"
LIKELIHOOD, STRATA = "diffusion/likelihood.py", "diffusion/strata.py"

MUTANTS = (
    # model
    Mutant("model/transformer.py", 'approximate="tanh"', 'approximate="none"', "mlp", (MODULE,)),
    Mutant("model/transformer.py", "LAYER_NORM_EPS = 1e-6", "LAYER_NORM_EPS = 1e-5", "norm", (MODULE,)),
    Mutant("model/transformer.py", "x + self.mlp(self.norm_2(x))", "x + self.mlp(self.norm_1(x))", "blocks", (MODULE,)),
    Mutant("model/transformer.py", "x = x + self.attention", "x = self.attention", "blocks", (MODULE,)),
    Mutant(
        "model/transformer.py",
        "self.linear_2(self.dropout(self.act(self.linear_1(x))))",
        "self.dropout(self.linear_2(self.act(self.linear_1(x))))",
        "",
        (DROPOUT,),
    ),
    Mutant(ATTENTION, "attn_mask=others", "attn_mask=None", "locality", (OP,)),
    Mutant(ATTENTION, "self.temperature.exp().to(q.dtype)", "self.temperature.to(q.dtype)", "locality", (OP,)),
    Mutant(
        ATTENTION,
        "return self.to_out(merge_heads(F.scaled_dot_product_attention(q, k, v)))\n\n\nclass Locality",
        "return self.to_out(merge_heads(F.scaled_dot_product_attention(q, k, v, scale=1.0)))\n\n\nclass Locality",
        "self-attention",
        (OP,),
    ),
    Mutant(ATTENTION, "        k, v = (split", "        v, k = (split", "cross-attention", (OP,)),
    Mutant(ATTENTION, "x.transpose(1, 2).flatten(2)", "x.flatten(2).transpose(1, 2)", "", (OP,)),
    Mutant("model/embeddings.py", "[angles.cos(), angles.sin()]", "[angles.sin(), angles.cos()]", "timestep", (OP,)),
    Mutant("model/embeddings.py", "[encode(columns), encode(rows)]", "[encode(rows), encode(columns)]", "pos", (OP,)),
    Mutant("model/embeddings.py", "np.arange(half) / half", "np.arange(half) / (half - 1)", "timestep", (OP,)),
    Mutant("model/patches.py", "grid.permute(0, 2, 4, 3, 5, 1)", "grid.permute(0, 2, 4, 5, 3, 1)", "patchify", (OP,)),
    Mutant("model/patches.py", "grid.permute(0, 5, 1, 3, 2, 4)", "grid.permute(0, 5, 1, 4, 2, 3)", "unpatch", (OP,)),
    Mutant("model/set_encoder.py", "if j != i]", "if j != (i + 1) % n]", "leave one out", (OP,)),
    Mutant("model/set_encoder.py", "t.repeat_interleave(n)", "t.repeat(n)", "encoder", (MODEL,)),
    Mutant("model/set_vit.py", "support.transpose(1, 2).flatten(1, 2)", "support.flatten(1, 2)", "encoder", (MODEL,)),
    Mutant(
        "model/set_vit.py",
        "self.project(tokens.mean(dim=1))",
        "self.project(tokens[:, 2:].mean(dim=1))",
        "encoder",
        (MODEL,),
    ),
    Mutant(
        "model/vit.py", "unflatten(1, (n, -1)).mean(dim=1)", "unflatten(1, (-1, n)).mean(dim=2)", "encoder", (MODEL,)
    ),
    Mutant("model/vit_base.py", "torch.cat([cls, time], dim=1)", "torch.cat([time, cls], dim=1)", "encoder", (MODEL,)),
    Mutant("model/mean_encoder.py", "(images.shape[1] - 1)", "images.shape[1]", "context", (MODEL,)),
    Mutant("model/mean_encoder.py", "(total - encoded)", "(total + encoded)", "context", (MODEL,)),
    Mutant("model/feature_encoder.py", 'approximate="tanh"', 'approximate="none"', "encoder", (MODEL,)),
    Mutant("model/feature_encoder.py", "self.act(h) if number else h", "self.act(h)", "encoder", (MODEL,)),
    Mutant("model/feature_encoder.py", "features.mean(dim=1)", "features.amax(dim=1)", "encoder", (MODEL,)),
    Mutant("model/context.py", "(log_variance / 2).exp()", "log_variance.exp()", "context", (MODEL,)),
    Mutant("model/context.py", "kl.flatten(1).mean(dim=1)", "kl.flatten(1).sum(dim=1)", "context", (MODEL,)),
    Mutant(
        "model/context.py",
        "torch.where(where, null.to(context.dtype), context)",
        "torch.where(where, context, null.to(context.dtype))",
        "null",
        (OP,),
    ),
    Mutant(DISCRETE, "uniform.clamp(EDGE, 1 - EDGE)", "uniform", "gumbel", (OP,)),
    Mutant(
        DISCRETE, "-(-uniform.clamp(EDGE, 1 - EDGE).log()).log()", "-uniform.clamp(EDGE, 1 - EDGE).log()", "", (OP,)
    ),
    Mutant(DISCRETE, "(logits + gumbel(noise)) / self.temperature", "logits + gumbel(noise)", "context", (MODEL,)),
    Mutant(DISCRETE, "logits.argmax(dim=-1)", "logits.argmin(dim=-1)", "guidance", (MODEL,)),
    Mutant(DISCRETE, "(log_q.exp() * log_q).sum(", "(log_q.exp() * log_q).mean(", "context", (MODEL,)),
    Mutant(DISCRETE, "kl.flatten(1).mean(dim=1)", "kl.flatten(1)[:, -1]", "context", (MODULE,)),
    Mutant("model/class_embedding.py", "support.clamp(min=0)", "support.clamp(min=1)", "encoder", (MODEL,)),
    Mutant(FEW_SHOT, "(classes < 0).repeat_interleave(", "(classes < 0).repeat(", "denoiser", (MODEL,)),
    Mutant(FEW_SHOT, "else dropped | unseen", "else dropped & unseen", "denoiser", (MODEL,)),
    Mutant("training/draws.py", 'context_noise_kind == "uniform"', 'context_noise_kind == "normal"', "", (FIT,)),
    Mutant("model/embeddings.py", "if self.is_odd else parts", "if not self.is_odd else parts", "", (OP, MODEL)),
    Mutant("model/set_encoder.py", "0, self.slots - n))", "self.slots - n, 0))", "encoder", (MODEL,)),
    Mutant("model/set_vit.py", "support.shape[:2]).mean(dim=1)", "support.shape[:2]).sum(dim=1)", "encoder", (MODEL,)),
    Mutant(
        "model/set_vit.py",
        'if self.tokens == "mean":\n            patches = patchify(support.flatten(0, 1)',
        'if self.tokens == "mean":\n            patches = patchify(support.flip(-1).flatten(0, 1)',
        "encoder",
        (MODEL,),
    ),
    Mutant("model/vit.py", "positions.repeat_interleave(n, dim=1)", "positions.repeat(1, n, 1)", "encoder", (MODEL,)),
    Mutant("model/vit.py", "if not self.interleaved_positions:", "if self.interleaved_positions:", "encoder", (MODEL,)),
    Mutant("model/vit_base.py", "self.time_token(features)", "self.time_token(features.relu())", "encoder", (MODEL,)),
    Mutant(
        "model/vit_base.py",
        "self.head(self.head_norm(pooled))",
        "self.head(pooled)",
        "encoder",
        (MODEL,),
    ),
    Mutant(DIT, "torch.cat([cond, context], dim=1)", "torch.cat([context, cond], dim=1)", "denoiser", (MODEL,)),
    Mutant(
        DIT,
        "cond = self.context_projection(torch.cat",
        "cond = cond + self.context_projection(torch.cat",
        "denoiser",
        (MODEL,),
    ),
    Mutant(
        DIT,
        "self.cond_norm(cond) if self.normalises_cond",
        "self.cond_norm(cond) + cond if self.normalises_cond",
        "denoiser",
        (MODEL,),
    ),
    Mutant(
        DIT,
        "(self.stored_position if self.stores_position",
        "(2 * self.stored_position if self.stores_position",
        "denoiser",
        (MODEL,),
    ),
    Mutant(FEW_SHOT, "h = h.repeat_interleave(n, dim=0)", "h = h.repeat(n, *[1] * (h.dim() - 1))", "context", (MODEL,)),
    Mutant(FEW_SHOT, "return maps.repeat_interleave(n, dim=0)", "return maps.repeat(n, 1, 1, 1)", "denoiser", (MODEL,)),
    Mutant(SPATIAL, "(images.shape[1] - 1)", "images.shape[1]", "denoiser", (MODEL,)),
    Mutant(SPATIAL, "(total - encoded)", "(total + encoded)", "denoiser", (MODEL,)),
    Mutant(SPATIAL, "_encode_sets(support).mean(dim=1)", "_encode_sets(support).sum(dim=1)", "spatial", (MODULE,)),
    Mutant(SPATIAL, "masked_fill(dropped", "masked_fill(~dropped", "null maps", (OP,)),
    Mutant(FEW_SHOT, "torch.cat([x_t, maps], dim=1)", "torch.cat([maps, x_t], dim=1)", "denoiser", (MODEL,)),
    Mutant(FEW_SHOT, "zero_where(maps, dropped)", "maps", "denoiser", (MODEL,)),
    Mutant(GUIDANCE, "torch.cat([maps, torch.zeros_like(maps)])", "torch.cat([maps, maps])", "2.5", (MODEL,)),
    Mutant(
        GUIDANCE,
        "torch.cat([maps, torch.zeros_like(maps)])",
        "torch.cat([torch.zeros_like(maps), maps])",
        "2.5",
        (MODEL,),
    ),
    Mutant(GUIDANCE, "maps.repeat_interleave(num, dim=0)", "maps.repeat(num, 1, 1, 1)", "guidance 1.0", (MODEL,)),
    Mutant(GUIDANCE, "t >= first", "t > first", "interval", (MODEL,)),
    Mutant(GUIDANCE, "t <= last)", "t < last)", "interval", (MODEL,)),
    Mutant(GUIDANCE, "guided if first <= t", "guided if first < t", "DDPM", (SAMPLER,)),
    Mutant(GUIDANCE, "t <= last else", "t < last else", "DDPM", (SAMPLER,)),
    Mutant(GUIDANCE, "unconditional + guidance *", "wanted + guidance *", "guidance 2.5", (MODEL,)),
    Mutant(GUIDANCE, "[mean, wanted[", "[mean, unconditional[", "2.5", (MODEL,)),
    Mutant(
        DIT,
        "x = x + gate_1[:, None] * self.attention",
        "x = x + gate_2[:, None] * self.attention",
        "denoiser.blocks",
        (MODULE,),
    ),
    Mutant(DIT, "x * (1 + scale[:, None]) + shift[:, None]", "x * scale[:, None] + shift[:, None]", "modulate", (OP,)),
    Mutant(DIT, "shift, scale = self.modulation", "scale, shift = self.modulation", "denoiser.final", (MODULE,)),
    Mutant(DIT, "else self.position.like(x))", "else 0 * self.position.like(x))", "denoiser.blocks.0", (MODEL,)),
    Mutant(BLOCKS, "GROUP_NORM_EPS = 1e-5", "GROUP_NORM_EPS = 1e-6", "norm", (MODULE,)),
    Mutant(BLOCKS, "range(1, 33)", "range(1, 17)", "GroupNorm", (OP,)),
    Mutant(BLOCKS, "scale, shift = self.modulation", "shift, scale = self.modulation", "block", (MODULE,)),
    Mutant(BLOCKS, "value * F.gelu(gate", "gate * F.gelu(value", "mlp", (MODULE,)),
    Mutant(
        BLOCKS,
        "x[:, :, :, None, :, None].expand(b, c, h, 2, w, 2)",
        "x[:, :, None, :, :, None].expand(b, c, 2, h, w, 2)",
        "upsample",
        (MODULE,),
    ),
    Mutant(
        "model/unet.py",
        "torch.cat([h, skips.pop()], dim=1)",
        "torch.cat([skips.pop(), h], dim=1)",
        "denoiser.up",
        (MODEL,),
    ),
    Mutant(
        "model/unet.py", "torch.cat([cond, context], dim=1)", "torch.cat([context, cond], dim=1)", "denoiser", (MODEL,)
    ),
    # diffusion
    Mutant(SCHEDULES, "scale = 1000 / num_steps", "scale = 1.0", "betas", (SCHEDULE,)),
    Mutant(SCHEDULES, "(u + 0.008) / 1.008", "(u + 0.008) / 1.0", "betas", (SCHEDULE,)),
    Mutant(
        SCHEDULES,
        "np.log(self._with_second_first(self.posterior_variance))",
        "np.log(self.posterior_variance + 1e-20)",
        "posterior_log_variance_clipped",
        (SCHEDULE,),
    ),
    Mutant(
        SCHEDULES,
        "np.append(1.0, self.alpha_bar[:-1])",
        "np.append(self.alpha_bar[:1], self.alpha_bar[:-1])",
        "alpha_bar_prev",
        (SCHEDULE,),
    ),
    Mutant(
        SCHEDULES,
        "Schedule(1.0 - alpha_bar / np.append(1.0, alpha_bar[:-1]))",
        "Schedule(self.betas[np.asarray(timesteps)])",
        "betas",
        (SCHEDULE,),
    ),
    Mutant(
        GAUSSIAN,
        "alpha_bar.sqrt() * noise - (1 - alpha_bar).sqrt() * x_0",
        "alpha_bar.sqrt() * x_0 - (1 - alpha_bar).sqrt() * noise",
        "target, v",
        (OP,),
    ),
    Mutant(
        GAUSSIAN,
        "alpha_bar.sqrt() * x_0 + (1 - alpha_bar).sqrt() * noise",
        "alpha_bar * x_0 + (1 - alpha_bar) * noise",
        "x_t",
        (OP,),
    ),
    Mutant(GAUSSIAN, "f = (v + 1) / 2", "f = v", "learned", (OP,)),
    Mutant(GAUSSIAN, 'large if self.variance == "fixed_large" else posterior', "posterior", "fixed_large", (OP,)),
    Mutant(GAUSSIAN, 'at("large_log_variance"', 'at("log_betas"', "fixed_large", (OP,)),
    Mutant(LOSS, "prediction.detach()", "prediction", "gradient", (MODEL,)),
    Mutant(LOSS, "0.044715 * x**3", "0.044715 * x**2", "normal distribution function", (OP,)),
    Mutant(LOSS, "0.5 * (-1.0 - difference", "0.5 * (1.0 - difference", "KL", (OP,)),
    Mutant(LOSS, "torch.where(t == 0, likelihood, kl)", "kl", "bound", (OP,)),
    Mutant(LOSS, "x_0 < -0.999", "x_0 < -9.0", "likelihood", (OP,)),
    Mutant(GAUSSIAN, "x_0.clamp(-1.0, 1.0)", "x_0.clamp(-2.0, 2.0)", "bits of a step", (OP,)),
    Mutant(LIKELIHOOD, "clip=True", "clip=False", "bits of a step", (OP,)),
    Mutant(LIKELIHOOD, "(x_0.square() - 1.0)", "x_0.square()", "bits of the prior", (OP,)),
    Mutant(STRATA, "sizes * (sizes - counts)", "sizes * sizes", "error", (MODEL,)),
    Mutant(STRATA, "np.maximum(counts - 1, 1)", "counts", "error", (MODEL,)),
    Mutant(STRATA, "(sizes * means).sum()", "means.sum()", "total", (MODEL,)),
    Mutant(STRATA, "1 + 2 * rank)", "1 + rank)", "", (MODEL,)),
    Mutant("training/episode_bits.py", "share * _at_each", "_at_each", "context", (MODEL,)),
    Mutant("training/episode_bits.py", "total + of_prior + kl", "total + of_prior", "total", (MODEL,)),
    Mutant(
        "training/episode_bits.py",
        "estimate_sum(strata, of_steps + of_context)",
        "estimate_sum(strata, of_steps)",
        "total",
        (MODEL,),
    ),
    # samplers
    Mutant(SAMPLERS, "sigma = self.eta * np.sqrt", "sigma = 0.0 * np.sqrt", "step", (SAMPLER,)),
    Mutant(SAMPLERS, "1.0 - previous - sigma**2", "1.0 - previous", "step", (SAMPLER,)),
    Mutant(SAMPLERS, "noise[0] = 0.0", "noise[0] = noise[0]", "step", (SAMPLER,)),
    Mutant(
        SAMPLERS,
        "diffusion.tables.schedule.subset(chain)",
        "Schedule(diffusion.tables.schedule.betas[chain])",
        "step",
        (SAMPLER,),
    ),
    Mutant(SAMPLERS, "h[1:] / h[:-1] / 2", "h[:-1] / h[1:] / 2", "step", (SAMPLER,)),
    Mutant(SAMPLERS, "if self.clip:", "if not self.clip:", "step", (SAMPLER,)),
    Mutant(SAMPLERS, 'spacing: Spacing = "log_snr"', 'spacing: Spacing = "linspace"', "DPM-Solver++", (TRUTH,)),
    Mutant(SAMPLERS, "half_inverse_r[1:-1] = h", "half_inverse_r[1:-1] = 0 * h", "DPM-Solver++", (TRUTH,)),
    Mutant(ILVR, "unflatten(3, (-1, factor))", "unflatten(3, (factor, -1))", "ilvr", (SAMPLER,)),
    Mutant(ILVR, "x - low_pass(x, factor) + low_pass(y", "x + low_pass(y", "ilvr", (SAMPLER,)),
    Mutant(ILVR, "query % n", "query // n", "ilvr", (SAMPLER,)),
    Mutant(SAMPLERS, "schedule.alpha_bar_prev[::-1]]", "schedule.alpha_bar[::-1]]", "ilvr", (SAMPLER,)),
    Mutant(SAMPLERS, ">= self.ilvr_until", "> self.ilvr_until", "ilvr", (SAMPLER,)),
    Mutant(SPACING, "total / count * np", "(total - 1) / count * np", "step", (SAMPLER,)),
    Mutant(SPACING, "min(falling[-1], -FIRST_LEVEL)", "falling[-1]", "step", (SAMPLER,)),
    Mutant(SPACING, "np.maximum.accumulate(nearest - rank) + rank", "nearest", "increase", (SAMPLER,)),
    Mutant(SCHEDULES, "(1.0 - self.alpha_bar)) / 2", "(1.0 - self.alpha_bar))", "half_log_snr", (SCHEDULE,)),
    # optimiser step
    Mutant(
        "module.py",
        "ema_decay_at(self.trainer.global_step + 1,",
        "ema_decay_at(self.trainer.global_step,",
        "ema",
        (STEP,),
    ),
    Mutant("training/ema.py", "1.0 - decay", "decay", "ema", (STEP,)),
    Mutant("training/ema.py", "return min(decay, (1 + step)", "return min(decay, (2 + step)", "ema", (STEP,)),
    Mutant(
        "training/groups.py",
        '("encoder", encoder, encoder_lr)',
        '("encoder", encoder, denoiser_lr)',
        "encoder",
        (STEP,),
    ),
    Mutant("training/groups.py", '"time_token", "final")', '"time_token")', "final", (STEP,)),
    Mutant("training/groups.py", "ndim in (2, 4)", "ndim == 2", "conv", (STEP,)),
    Mutant("muon.py", "STEPS = 5", "STEPS = 4", "blocks", (STEP,)),
    Mutant("muon.py", "-4.7750", "-4.7751", "blocks", (STEP,)),
    Mutant("muon.py", '["lr"] * 0.2 * max(', '["lr"] * 0.2 * min(', "blocks", (STEP,)),
    Mutant("muon.py", 'gradient.lerp(momentum, group["momentum"])', "momentum", "blocks", (STEP,)),
    Mutant("muon.py", "lerp_(gradient, 1 - group", "lerp_(gradient, group", "blocks", (STEP,)),
    Mutant("muon.py", 'mul_(1 - group["lr"] * ', "mul_(1 - ", "blocks", (STEP,)),
    Mutant("training/lr_schedule.py", "(step + 1) / self.warmup_steps", "step / self.warmup_steps", "", (STEP,)),
    Mutant("training/lr_schedule.py", "(step - start)", "(step + 1 - start)", "", (STEP,)),
    Mutant(
        "module.py",
        "self.trainer.global_step < self.freeze_steps",
        "self.trainer.global_step <= self.freeze_steps",
        "",
        (STEP,),
    ),
    Mutant("module.py", "parameter.grad = None", "parameter.grad.zero_()", "", (STEP,)),
    Mutant("training/episode_loss.py", "loss + kl_weight * kl_context", "loss + kl_context", "loss", (MODEL,)),
    Mutant("training/episode_loss.py", 'terms["mse"] + terms["vb"] if', 'terms["vb"] if', "loss", (MODEL,)),
    Mutant("training/episode_loss.py", "q_sample(x_0, t, draws.noise)", "q_sample(x_0, t, x_0)", "", (MODEL,)),
    Mutant("training/draws.py", "torch.exp(-z)", "torch.exp(z)", "", (FIT,)),
    Mutant("training/draws.py", "source.uniform(b * n) <", "source.uniform(b * n) >", "dropped", (FIT,)),
    # the key table of the converter
    Mutant(LAYOUT, '"kernel", (2, 3, 1, 0)', '"kernel", (3, 2, 1, 0)', "patch_embedding", (MODULE,)),
    Mutant(LAYOUT, '"kernel", (1, 0)', '"kernel", None', "weight", (WEIGHTS,)),
    Mutant(LAYOUT, "value.transpose(np.argsort(self.axes))", "value.transpose(self.axes)", "", (WEIGHTS,)),
    Mutant(LAYOUT, '"running_mean": ("mean", None)', '"running_mean": ("var", None)', "running_var", (METRIC,)),
    # metrics
    Mutant(FRECHET, "np.sqrt(len(values) - 1)", "np.sqrt(len(values))", "Fréchet", (METRIC,)),
    Mutant(FRECHET, "- 2 * root", "- root", "Fréchet", (METRIC,)),
    Mutant(FRECHET, "np.square(mean_a - mean_b).sum() + trace", "trace", "Fréchet", (METRIC,)),
    Mutant(FRECHET, "(values - mean) /", "values /", "Fréchet", (METRIC,)),
    Mutant(FRECHET, "if len(a) > a.shape[1] else a", "if len(a) > a.shape[1] else a[1:]", "Fréchet", (METRIC,)),
    Mutant(
        LATENTS, "posterior[:, :, 0], posterior[:, :, 1]", "posterior[:, :, 1], posterior[:, :, 0]", "latents", (OP,)
    ),
    Mutant(LATENTS, "mean + std * latent_noise", "mean + std.square() * latent_noise", "latents", (OP,)),
    Mutant(KERNEL, "+ 1.0) ** 3", "+ 1.0) ** 2", "kernel distance", (METRIC,)),
    Mutant(KERNEL, "+ 1.0) ** 3", ") ** 3", "kernel distance", (METRIC,)),
    Mutant(KERNEL, "x @ y.T / x.shape[1]", "x @ y.T", "kernel distance", (METRIC,)),
    Mutant(KERNEL, "k_aa.sum() - k_aa.trace()", "k_aa.sum()", "kernel distance", (METRIC,)),
    Mutant(KERNEL, "within / (m * (m - 1))", "within / (m * m)", "kernel distance", (METRIC,)),
    Mutant(KERNEL, "size, replace=False)", "size)", "kernel distance", (METRIC,)),
    Mutant("metrics/precision_recall.py", "neighbourhood + 1", "neighbourhood", "precision and recall", (METRIC,)),
    Mutant(CONFIDENCE, "n * (np.square(scaled)", "(n - 1) * (np.square(scaled)", "standard error", (METRIC,)),
    Mutant(CONFIDENCE, "_variance(scaled_b, -gap,", "_variance(scaled_b, gap,", "standard error", (METRIC,)),
    Mutant(CONFIDENCE, "for quarters in (2, 3)", "for quarters in (1, 3)", "infinity", (METRIC,)),
    Mutant(CONFIDENCE, "NORMAL_QUANTILE * error", "error", "class", (METRIC,)),
    Mutant(ORIGINALITY, "real.detach().double().cpu().unique(dim=0)", "real.detach().double().cpu()", "", (METRIC,)),
    Mutant(ORIGINALITY, "_distances(own, examples).min(", "_distances(own, examples).max(", "originality", (METRIC,)),
    Mutant(ORIGINALITY, "nearest[nearest > 0]", "nearest", "originality", (METRIC,)),
    Mutant(ORIGINALITY, "generated[owner == number]", "generated", "originality", (METRIC,)),
    Mutant(ORIGINALITY, "_off_diagonal(_distances(own, own))", "_distances(own, own).flatten()", "", (METRIC,)),
    Mutant(ORIGINALITY, "between_real.min()", "between_real.max()", "copies", (METRIC,)),
    Mutant(RECOGNISABILITY, "(len(real) * mean - real) / (len(real) - 1)", "mean[None]", "recognis", (METRIC,)),
    Mutant(RECOGNISABILITY, "to_others.min(dim=1)", "to_others.max(dim=1)", "recognis", (METRIC,)),
    Mutant(RECOGNISABILITY, "_part(generated, mean[None], others)", "_part(real, mean[None], others)", "", (METRIC,)),
    Mutant(SCORES, "- math.log(len(own))", "", "Inception score", (METRIC,)),
    Mutant(SCORES, "(own.exp() * (own - log_mean))", "(own.exp() * own)", "Inception score", (METRIC,)),
    Mutant(SCORES, "min(SPLITS, n // LEAST_IMAGES)", "min(1, n // LEAST_IMAGES)", "Inception score", (METRIC,)),
    Mutant(SCORES, "real[: len(generated), classes:]", "real[-len(generated) :, classes:]", "sFID", (METRIC,)),
    Mutant("metrics/distances.py", "used = real[:n]", "used = real[-n:]", "class", (METRIC,)),
    Mutant("extractors/extractor.py", "antialias=True", "antialias=False", "resizing", (METRIC,)),
    Mutant(
        "extractors/inception.py",
        'antialias=resize == "antialias"',
        'antialias=resize != "antialias"',
        "Conv2d_1a_3x3",
        (METRIC,),
    ),
)
