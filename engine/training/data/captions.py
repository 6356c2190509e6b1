"""Captions as people write them, made from a file's name and its tags.

Real sound libraries describe a sound by a few words of jargon ("gravel_walk_03") and a tagger by labels ("Walk,
footsteps"). Neither reads like what a user types ("a person walks on gravel"). A :class:`CaptionWriter` turns both
into several plausible captions, each drawn at random, so that a model sees many wordings of one sound.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from engine import paths
from engine.training.data.tables import TaggedClip


@dataclass(frozen=True)
class CaptionOptions:
    """How captions are drawn; weights are relative.

    ``name``: the cleaned file name. ``sentence``: the name as a clause ("a dog barks"). ``category``: the name with the
    UCS category that it shares two words with, or with a synonym of that. ``tags``: one to three tags in everyday
    words. ``both``: name and tag together. ``written``: a caption written for the sound, as it is. ``prompt`` is the
    chance of a lead-in such as "the sound of"; ``min_tag`` the least probability of a tag.
    """

    name: float = 1.0
    sentence: float = 1.0
    category: float = 0.3
    tags: float = 1.5
    both: float = 0.5
    written: float = 4.0
    prompt: float = 0.15
    min_tag: float = 0.15


MUSIC_IS_UNSURE_BELOW_S = 1.0
"""The tagger calls most very short sounds "Music"."""

NAMING = 4
"""Wordings of so many words name a sound; longer ones tell of it, in words that are not about sound."""

VAGUE_TAGS = frozenset(
    "Music;Sound effect;Musical instrument;Animal;Domestic animals, pets;Wild animals;Vehicle;Silence;Pulse;"
    "Inside, small room;Inside, large room or hall;Inside, public space;Outside, urban or manmade;"
    "Outside, rural or natural;Noise;Speech;Fowl;Livestock, farm animals, working animals".split(";")
)
"""True of so many sounds that they say little; drawn a quarter as often."""

JARGON = frozenset(
    "fs sel dr con ds sn bd lvl ui wav ogg mp hd loop loops snd sfx sound sounds generic misc new old test standard "
    "main primary secondary ing dsi dsp node dig dug sml lrg hi lo ambient ambience ambiance fx khz bpm khzbit default "
    "effect effects noise finish start unload load complete player tech affinity health hover".split()
) | frozenset("abcdefghijklmnopqrstuvwxyz")
"""Words of file names that no user types."""

MASS_NOUNS = frozenset(
    "rain wind thunder water fire glass wood metal gravel snow sand grass music speech laughter applause traffic surf "
    "thunderstorm lightning steam static gunfire footsteps crickets birds bees waves chatter machinery noise mud ice "
    "paper cloth food air gas lava sea ocean weather typing singing".split()
)
"""Nouns that take no article."""

IRREGULAR_PLURALS = frozenset("people men women children geese mice feet teeth oxen wolves".split())

VERBS = (
    "attack bark beep bellow blow bounce break bubble burn burp buzz chirp clang clap click close coo cough crackle "
    "creak croak cry die drip drop explode fall fire flap flush fly gallop gobble growl grunt hiss honk hoot howl "
    "hum idle jingle knock laugh meow moan moo neigh open pass peck purr quack rattle reload ring roar rumble "
    "rustle scratch scream screech shake shoot sing slam slurp snap snarl sneeze snore snort spin splash squeak "
    "squeal start stop swing tear throw tick trumpet tweet type walk whimper whine whistle yawn yell yelp"
).split()

DOUBLED = frozenset("clap drip drop flap hum slam snap spin stop".split())
IRREGULAR = {"die": "dying"}

STEPS = re.compile(r"\b(walk|walking|run|running|step|steps|footstep|footsteps|jump|land|wander)\b")
SURFACES = (
    "gravel|snow|sand|concrete|dirt|grass|stone|wood|metal|marble|mud|ice|leaves|carpet|rug|tile|rock|water|gravel|"
    "ladder|glass|plastic|floor|straw|stairs|ground"
).split("|")

LEAD_INS = (
    "the sound of {}",
    "a recording of {}",
    "{} can be heard",
    "{} in the background",
    "{} in the distance",
    "sound of {}",
    "{} nearby",
    "{} sound",
)
TOGETHER = ("{} and {}", "{} while {}", "{} as {}", "{} with {} in the background", "{}, {}", "{} together with {}")
IN_TURN = ("{} followed by {}", "{}, then {}", "{} and then {}", "first {}, then {}", "{} before {}")


def load_phrases(path: Path | None = None) -> dict[str, tuple[str, ...]]:
    """AudioSet label -> everyday wordings, the shortest first (``resources/captions/audioset_phrases.json``)."""
    source = path or paths.resources() / "captions" / "audioset_phrases.json"
    return {label: tuple(wordings) for label, wordings in json.loads(source.read_text(encoding="utf-8")).items()}


@dataclass(frozen=True)
class Category:
    """A subcategory of the Universal Category System: its words and their synonyms."""

    name: str
    words: frozenset[str]
    synonyms: frozenset[str]


def load_categories(path: Path | None = None) -> tuple[Category, ...]:
    """The Universal Category System's subcategories (``resources/ucs/en.json``)."""
    source = path or paths.resources() / "ucs" / "en.json"
    categories = []
    for entry in json.loads(source.read_text(encoding="utf-8")):
        if entry["SubCategory"] == "MISC":
            name = entry["Category"].lower()
        else:
            name = f"{entry['Category']} {entry['SubCategory']}".lower()
        words = frozenset(re.findall(r"[a-z]+", name))
        categories.append(Category(name, words, frozenset(str(word).lower() for word in entry["Synonyms"])))
    return tuple(categories)


class CaptionWriter:
    """Writes captions for clips that have a name and tags.

    Args:
        options: Weights of the kinds of caption.
        words: Known English words beyond those of the resources (a tokenizer's vocabulary serves); a name's other
            words count as non-words and are dropped.
    """

    def __init__(self, options: CaptionOptions, words: Collection[str] = ()) -> None:
        self.options = options
        self.phrases = load_phrases()
        self.categories = load_categories()
        common = {word for category in self.categories for word in (*category.words, *category.synonyms)}
        named = (text.split() for texts in self.phrases.values() for text in texts)
        common |= {word for parts in named if len(parts) <= NAMING for word in parts}
        self._sound_words = frozenset(word for word in common if len(word) > 2)
        self._words = self._sound_words | {word for word in words if len(word) > 2 and word.isalpha()}

    def clean_name(self, draft: str) -> str:
        """A draft name without numbers, jargon and non-words; glued words are split; "" when nothing is left."""
        kept: list[str] = []
        for word in re.findall(r"[a-z]+", draft.lower().replace("'", "")):
            for part in self._split(word):
                if part not in JARGON and (not kept or kept[-1] != part):
                    kept.append(part)
        return " ".join(kept[:6])

    def is_about_sound(self, name: str) -> bool:
        """Whether a cleaned name has a word of the sound vocabulary, and so says something that can be heard."""
        return any(word in self._sound_words for word in name.split())

    def sentence(self, name: str, rng: np.random.Generator) -> str:
        """A cleaned name as a clause: "dog bark" -> "a dog barks"; unchanged words where no rule fits."""
        words = name.split()
        if STEPS.search(name):
            surface = next((word for word in words if word in SURFACES), None)
            return _steps(words, surface, rng)
        if len(words) >= 2 and words[-1] in VERBS:
            subject = " ".join(words[:-1])
            verb = words[-1] if is_plural(words[-2]) else third_person(words[-1])
            return f"{with_article(subject)} {verb if rng.random() < 0.5 else gerund(words[-1])}"
        return with_article(name)

    def category(self, name: str) -> Category | None:
        """The UCS subcategory that shares most words with a cleaned name; None where it shares fewer than two."""
        words = _singulars(name.split())
        shared = [len(words & _singulars(entry.words)) for entry in self.categories]
        if max(shared) < 2:
            return None
        alike = [entry for entry, count in zip(self.categories, shared, strict=True) if count == max(shared)]
        return max(alike, key=lambda entry: len(words & entry.synonyms))

    def tag_phrase(self, label: str, rng: np.random.Generator) -> str:
        """An everyday wording of an AudioSet label."""
        wordings = self.phrases.get(label) or (label.split(",")[0].lower(),)
        return wordings[int(rng.integers(len(wordings)))]

    def draw_tags(self, clip: TaggedClip, rng: np.random.Generator, most: int = 3) -> list[str]:
        """One to ``most`` of the clip's tags, likelier the more probable they are."""
        labels, weights = self._tag_weights(clip)
        if not labels:
            return []
        count = min(int(rng.choice([1, 2, 3], p=[0.6, 0.3, 0.1])), most, len(labels))
        drawn = rng.choice(len(labels), size=count, replace=False, p=weights / weights.sum())
        return [labels[index] for index in sorted(drawn)]

    def draw(self, clip: TaggedClip, rng: np.random.Generator) -> str:
        """One caption; "" when neither name nor tags say anything and none is written."""
        name = self.clean_name(clip.name)
        named = bool(name) and self.is_about_sound(name)
        tags = self.draw_tags(clip, rng)
        options = self.options
        weights = {
            "name": options.name if named else 0.1 * options.name * bool(name and not tags),
            "sentence": options.sentence * named,
            "category": options.category * named,
            "tags": options.tags * bool(tags),
            "both": options.both * (named and bool(tags)),
            "written": options.written * bool(clip.written),
        }
        total = sum(weights.values())
        if total == 0:
            return ""
        kind = str(rng.choice(list(weights), p=[weight / total for weight in weights.values()]))
        if kind == "written":
            return clip.written[int(rng.integers(len(clip.written)))]
        caption = self._write(kind, name, tags, rng)
        if rng.random() < options.prompt:
            caption = LEAD_INS[int(rng.integers(len(LEAD_INS)))].format(caption)
        return caption

    def _write(self, kind: str, name: str, tags: Sequence[str], rng: np.random.Generator) -> str:
        if kind == "name":
            return name
        if kind == "sentence":
            return self.sentence(name, rng)
        if kind == "category":
            return self._with_category(name, rng)
        phrases = [self.tag_phrase(tag, rng) for tag in tags]
        if kind == "both":
            return f"{self.sentence(name, rng)}, {phrases[0]}"
        caption = phrases[0]
        for phrase in phrases[1:]:
            caption = join(caption, phrase, rng)
        return caption

    def _with_category(self, name: str, rng: np.random.Generator) -> str:
        category = self.category(name)
        if category is None:
            return name
        other = sorted(category.synonyms - category.words - _singulars(name.split()))
        if other and rng.random() < 0.5:
            return f"{name} {other[int(rng.integers(len(other)))]}"
        return f"{category.name} {name}"

    def _tag_weights(self, clip: TaggedClip) -> tuple[list[str], np.ndarray[tuple[int], np.dtype[np.float64]]]:
        labels, weights = [], []
        for label, probability in clip.tags:
            if probability < self.options.min_tag or (label == "Music" and clip.seconds < MUSIC_IS_UNSURE_BELOW_S):
                continue
            labels.append(label)
            weights.append(probability * (0.25 if label in VAGUE_TAGS else 1.0))
        return labels, np.asarray(weights)

    def _split(self, word: str) -> list[str]:
        if word in self._words:
            return [word]
        if word.endswith("s") and word[:-1] in self._words:
            return [word]
        for cut in range(3, len(word) - 2):
            if word[:cut] in self._sound_words and word[cut:] in self._sound_words:
                return [word[:cut], word[cut:]]
        return []


def join(first: str, second: str, rng: np.random.Generator, in_turn: bool = False) -> str:
    """Two captions as one: heard together, or one after the other."""
    templates = IN_TURN if in_turn else TOGETHER
    return templates[int(rng.integers(len(templates)))].format(first, second)


def with_article(phrase: str) -> str:
    """ "dog" -> "a dog"; plurals and mass nouns stay as they are."""
    last = phrase.split()[-1] if phrase else ""
    bare = last in MASS_NOUNS or is_plural(last) or last.endswith(("s", "ing"))
    if not phrase or bare or phrase.startswith(("a ", "an ", "the ")):
        return phrase
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def is_plural(noun: str) -> bool:
    """Whether a noun takes a verb without s: "birds", not "glass"."""
    return noun in IRREGULAR_PLURALS or (noun.endswith("s") and not noun.endswith(("ss", "us")) and noun != "gas")


def third_person(verb: str) -> str:
    """ "bark" -> "barks"."""
    if verb.endswith(("s", "sh", "ch", "x", "z")):
        return f"{verb}es"
    return f"{verb[:-1]}ies" if verb.endswith("y") and verb[-2] not in "aeiou" else f"{verb}s"


def gerund(verb: str) -> str:
    """ "bark" -> "barking"."""
    if verb in IRREGULAR:
        return IRREGULAR[verb]
    if verb in DOUBLED:
        return f"{verb}{verb[-1]}ing"
    return f"{verb[:-1]}ing" if verb.endswith("e") and not verb.endswith("ee") else f"{verb}ing"


def _steps(words: Sequence[str], surface: str | None, rng: np.random.Generator) -> str:
    running = any(word.startswith("run") for word in words)
    on = f" on {surface}" if surface and surface != "water" else " through water" if surface else ""
    forms = ("someone runs", "a person running") if running else ("someone walks", "a person walking", "a person walks")
    choices = [*(f"{form}{on}" for form in forms), f"footsteps{on}"]
    return choices[int(rng.integers(len(choices)))]


@cache
def _singular(word: str) -> str:
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _singulars(words: Collection[str]) -> set[str]:
    return set(map(_singular, words))
