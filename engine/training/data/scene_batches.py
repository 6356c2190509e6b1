"""Endless random scenes for distillation, made in batches on whatever device learns from them.

A scene is one to three sounds at random places, speeds and levels, some of them backwards, half the time coloured by a
random equaliser and band limit and some of these by a synthetic reverb, sometimes under noise. The teacher hears the
very same scene, so it need not sound like anything in the world: what counts is that scenes differ.
"""

from __future__ import annotations

import math

import scipy.fft
import torch
from torch import Tensor

from engine.training.data.audio_cache import AudioCache

SPEEDS = (0.6, 1.7)
BACKWARDS_CHANCE = 0.1
MORE_CHANCES = (0.55, 0.25)
"""That a second sound is added, and a third."""
LEVELS_DB = (-18.0, 6.0)
"""Of a further sound, against what is there already."""
KNOTS_HZ = (20.0, 100.0, 400.0, 1500.0, 5000.0, 12_000.0, 22_050.0)
KNOT_DB = 6.0
LONGEST_TAIL_S = 1.2
QUIETEST = 1e-6


class SceneBatches:
    """Scenes over cached sounds.

    Args:
        cache: The sounds.
        length_power: A sound of twice the length is heard 2 ** ``length_power`` times as often.
        device: Where the sounds are kept and the scenes are made; with ``mps`` that is the CPU, because MPS lacks the
            float64 that places in long sounds take, and the scenes are handed over.
    """

    def __init__(self, cache: AudioCache, length_power: float, device: str) -> None:
        self.sample_rate_hz = cache.sample_rate_hz
        made_on = "cpu" if device == "mps" else device
        self._samples = torch.from_numpy(cache.values).to(made_on)
        offsets = torch.tensor(cache.offsets, device=made_on)
        self._starts, self._lengths = offsets[:-1], offsets.diff()
        self._shares = (self._lengths.double() ** length_power).cumsum(0)
        self._device = device

    def draw(self, batch: int, samples: int, seed: int) -> Tensor:
        """Peak-normalised scenes (batch, samples), float32; the same for the same arguments on the same device."""
        generator = torch.Generator(self._samples.device).manual_seed(seed)
        return _Drawing(self, generator).scenes(batch, samples).to(self._device)

    def sounds(self, numbers: Tensor, positions: Tensor) -> Tensor:
        """Sounds (n,) at fractional sample positions (n, samples), linearly interpolated, silent outside them."""
        last = (self._lengths[numbers] - 1)[:, None]
        inside = (positions >= 0) & (positions <= last)
        before = positions.floor().long().clamp_min(0).minimum(last)
        starts = self._starts[numbers][:, None]
        low, high = self._samples[starts + before], self._samples[starts + (before + 1).minimum(last)]
        found = torch.lerp(low.float(), high.float(), (positions - before).float())
        return torch.where(inside, found, 0.0) / 32768.0

    def numbers(self, uniform: Tensor) -> Tensor:
        """Which sounds are heard for uniform random numbers (n,)."""
        return torch.searchsorted(self._shares, uniform * self._shares[-1], right=True).clamp_max(len(self._starts) - 1)

    def length(self, numbers: Tensor) -> Tensor:
        """Samples of each of these sounds."""
        return self._lengths[numbers]


class _Drawing:
    """One batch in the making."""

    def __init__(self, sounds: SceneBatches, generator: torch.Generator) -> None:
        self._sounds = sounds
        self._generator = generator
        self._choices = torch.Generator().manual_seed(generator.initial_seed())

    def scenes(self, batch: int, samples: int) -> Tensor:
        result = self._placed(batch, samples)
        for chance in MORE_CHANCES:
            chosen = self._chosen(batch, chance)
            other = self._placed(len(chosen), samples)
            gain = 10.0 ** (self._uniform(len(chosen), *LEVELS_DB) / 20.0)[:, None]
            here = result[chosen]
            result[chosen] = here + other * (gain * _loudest(here) / _peak(other))
        chosen = self._chosen(batch, 0.5)
        if len(chosen):  # there is no spectrum of nothing
            result[chosen] = self._coloured(result[chosen])
        chosen = self._chosen(batch, 0.2)
        here = result[chosen]
        level = 10.0 ** self._uniform(len(chosen), -4.0, -1.3)[:, None]
        result[chosen] = here + self._normal(len(chosen), samples) * _loudest(here) * level
        return result / _peak(result)

    def _placed(self, count: int, samples: int) -> Tensor:
        """Random sounds (count, samples): crops of longer ones; shorter ones at a random time, half of them again."""
        numbers = self._sounds.numbers(self._uniform(count).double())
        octaves = self._uniform(count, *map(math.log2, SPEEDS))
        speed = torch.where(self._uniform(count) < 0.5, 1.0, octaves.exp2()).double()
        length = self._sounds.length(numbers)
        heard = length / speed
        room = samples - heard
        where = self._uniform(count)
        delay = (room * where).round()  # below 0: so much is cut away
        period = heard + 0.5 * samples * self._uniform(count)
        period = torch.where((self._uniform(count) < 0.5) & (room > 0), period.round(), math.inf)
        at = torch.arange(samples, device=delay.device) - delay[:, None]
        at = torch.where((at >= 0) & period.isfinite()[:, None], at % period[:, None], at)
        positions = at * speed[:, None]
        backwards = self._uniform(count)[:, None] < BACKWARDS_CHANCE
        return self._sounds.sounds(numbers, torch.where(backwards, (length - 1)[:, None] - positions, positions))

    def _coloured(self, sounds: Tensor) -> Tensor:
        """Through a smooth random equaliser, some through a band limit, half through a decaying reverb."""
        count, samples = sounds.shape
        rate = self._sounds.sample_rate_hz
        longest = round(LONGEST_TAIL_S * rate)
        size = scipy.fft.next_fast_len(samples + longest, real=True)
        hertz = torch.fft.rfftfreq(size, 1.0 / rate, device=sounds.device).clamp_min(KNOTS_HZ[0])
        gains_db = self._normal(count, len(KNOTS_HZ)) * KNOT_DB
        response = 10.0 ** (_interpolated(hertz.log(), [math.log(knot) for knot in KNOTS_HZ], gains_db) / 20.0)
        limits = 10.0 ** self._uniform(count, 3.4, 4.3)[:, None]  # 2.5 to 20 kHz, as of old and compressed recordings
        limited = torch.sigmoid(24.0 * (limits / hertz).log2())
        response = torch.where(self._uniform(count)[:, None] < 0.25, response * limited, response)
        spectrum = torch.fft.rfft(sounds, size) * response
        chosen = self._chosen(count, 0.5)
        if len(chosen):
            spectrum[chosen] *= torch.fft.rfft(self._reverb(len(chosen), longest), size)
        coloured: Tensor = torch.fft.irfft(spectrum, size)
        return coloured[:, :samples]

    def _reverb(self, count: int, longest: int) -> Tensor:
        """Impulse responses (count, longest): the sound itself and exponentially decaying noise."""
        tail = self._uniform(count, 0.1 / LONGEST_TAIL_S, 1.0)[:, None] * longest
        at = torch.arange(longest, device=tail.device)
        decay = torch.where(at < tail, (-6.9 * at / tail).exp() * self._normal(count, longest), 0.0)
        decay *= self._uniform(count, 0.1, 0.8)[:, None] / decay.norm(dim=1, keepdim=True).clamp_min(QUIETEST)
        decay[:, 0] += 1.0
        return decay

    def _uniform(self, count: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return torch.rand(count, generator=self._generator, device=self._generator.device) * (high - low) + low

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self._generator, device=self._generator.device)

    def _chosen(self, count: int, chance: float) -> Tensor:
        """Numbers of the rows that something happens to, chosen on the CPU: to ask a GPU would be to wait for it."""
        chosen = (torch.rand(count, generator=self._choices) < chance).nonzero().squeeze(1)
        return chosen.to(self._generator.device)


def resample(waveforms: Tensor, from_hz: int, to_hz: int) -> Tensor:
    """Waveforms (batch, samples) at another rate, their spectra cut or extended, as if they went round.

    ``samples`` must be a multiple of :func:`rate_divisor`.
    """
    samples = waveforms.shape[1]
    wanted = samples * to_hz // from_hz
    assert wanted * from_hz == samples * to_hz
    spectrum = torch.fft.rfft(waveforms)[:, : wanted // 2 + 1]
    there: Tensor = torch.fft.irfft(spectrum, wanted)
    return there * (wanted / samples)


def rate_divisor(from_hz: int, to_hz: int) -> int:
    """The fewest samples that are a whole number of samples at the other rate."""
    return from_hz // math.gcd(from_hz, to_hz)


def normalise(waveforms: Tensor) -> Tensor:
    """Waveforms (batch, samples) scaled to a peak of 1; digital silence stays so."""
    return waveforms / _peak(waveforms)


def _loudest(waveforms: Tensor) -> Tensor:
    return waveforms.abs().amax(dim=1, keepdim=True)


def _peak(waveforms: Tensor) -> Tensor:
    """What can be divided by."""
    return _loudest(waveforms).clamp_min(QUIETEST)


def _interpolated(x: Tensor, knots: list[float], values: Tensor) -> Tensor:
    """Values (n, knots) linearly interpolated at x (points,): (n, points)."""
    places = torch.tensor(knots, device=x.device)
    right = torch.searchsorted(places, x).clamp(1, len(knots) - 1)
    share = ((x - places[right - 1]) / (places[right] - places[right - 1])).clamp(0.0, 1.0)
    return torch.lerp(values[:, right - 1], values[:, right], share)
