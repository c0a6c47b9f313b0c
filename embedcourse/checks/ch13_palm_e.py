"""Checks of chapter 13: features among words, answers as labels, slots, and plans that are carried out and measured."""

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor
from torch.nn.utils.rnn import pad_sequence

from embedcourse.checks.draw import draw_int
from embedcourse.checks.task import Misconception, Regime, Task

__all__ = ["TASKS"]


def shuffled(g: Generator, things: Sequence) -> list:
    """The same things in another order."""
    return [things[i] for i in torch.randperm(len(things), generator=g).tolist()]


def rounded(z: Tensor) -> Tensor:
    """With one decimal, so that a learner can follow the example by hand."""
    return (10 * z).round() / 10


# ---------------------------------------------------------------------------------------------------- palme.inject

Sentences = tuple[Tensor, Tensor, int, Tensor]
Inject = Callable[[Tensor, Tensor, int, Tensor], Tensor]


def draw_sentences(
    g: Generator,
    rows: Sequence[str],
    d: int = 3,
    words: int = 12,
    more: int = 0,
    dtype: torch.dtype = torch.float32,
) -> Sentences:
    """A table of words, sentences in which o is a placeholder and w any other word, and a feature for each o.

    more: so many features more than placeholders.
    """
    table = torch.randn(words, d, generator=g, dtype=dtype)
    placeholder = draw_int(g, 0, words - 1)
    tokens = (placeholder + torch.randint(1, words, (len(rows), len(rows[0])), generator=g)) % words
    tokens[torch.tensor([[letter == "o" for letter in row] for row in rows])] = placeholder
    count = sum(row.count("o") for row in rows) + more
    return table, tokens, placeholder, torch.randn(count, d, generator=g, dtype=dtype)


def draw_short_sentence(g: Generator) -> Sentences:
    """Two dimensions, four tokens, numbers to be followed by hand."""
    table, tokens, placeholder, features = draw_sentences(g, ["wowo"], 2, 5)
    return rounded(table), tokens, placeholder, rounded(features)


def draw_anywhere(g: Generator, n: int, length: int, d: int) -> Sentences:
    """Two placeholders or more at random places of each sentence, never at the first two."""
    rows = [
        "ww" + "".join(shuffled(g, "o" * (k := draw_int(g, 2, length - 4)) + "w" * (length - 2 - k))) for _ in range(n)
    ]
    return draw_sentences(g, rows, d, 40)


def counted(tokens: Tensor, placeholder: int, features: Tensor) -> Tensor:
    """Where features belong; refused where there are more or fewer of them."""
    places = tokens == placeholder
    if int(places.sum()) != len(features):
        raise ValueError(f"expected {int(places.sum())} features, got {len(features)}")
    return places


def inject_by_loop(table: Tensor, tokens: Tensor, placeholder: int, features: Tensor) -> Tensor:
    """Token by token, in reading order: the next feature, or the word's vector."""
    counted(tokens, placeholder, features)
    coming, rows = iter(features), []
    for sentence in tokens.tolist():
        rows.append(torch.stack([next(coming) if token == placeholder else table[token] for token in sentence]))
    return torch.stack(rows)


def scattered(vectors: Tensor, places: Tensor, features: Tensor) -> Tensor:
    """Features at the places, in reading order, as many as there are."""
    return vectors.masked_scatter(places[..., None], features)


def injected(put: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Inject:
    """Count, then put features into the word vectors in another way."""
    return lambda table, tokens, placeholder, features: put(
        table[tokens], counted(tokens, placeholder, features), features
    )


def by_columns(vectors: Tensor, places: Tensor, features: Tensor) -> Tensor:
    """The sentences are read from top to bottom, column by column."""
    return scattered(vectors.transpose(0, 1), places.T, features).transpose(0, 1)


def restarted(vectors: Tensor, places: Tensor, features: Tensor) -> Tensor:
    """Every sentence begins with the first feature."""
    return torch.stack([scattered(row, own, features) for row, own in zip(vectors, places, strict=True)])


def in_front(vectors: Tensor, places: Tensor, features: Tensor) -> Tensor:
    """At the beginning of each sentence, as many as it has."""
    return scattered(vectors, torch.arange(places.shape[1]) < places.sum(1, keepdim=True), features)


def uncounted(table: Tensor, tokens: Tensor, placeholder: int, features: Tensor) -> Tensor:
    """By assignment, which copies a single feature to every place."""
    vectors = table[tokens]
    vectors[tokens == placeholder] = features
    return vectors


def until_one_ends(table: Tensor, tokens: Tensor, placeholder: int, features: Tensor) -> Tensor:
    """Pairs of a place and a feature, until one of the two runs out."""
    vectors = table[tokens]
    for (i, j), feature in zip((tokens == placeholder).nonzero().tolist(), features, strict=False):
        vectors[i, j] = feature
    return vectors


INJECT = Task(
    id="palme.inject",
    title="Features among the words",
    function="inject",
    minutes=10,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("two places, two numbers each", draw_short_sentence),
        Regime("a run of places in two sentences", lambda g: draw_sentences(g, ["wwooow", "wwooow"])),
        Regime("unlike numbers of places", lambda g: draw_sentences(g, ["wwowo", "wwwww", "owwww"])),
        Regime("a sentence that ends with a place", lambda g: draw_sentences(g, ["wwwo", "owwo"])),
        Regime("a sentence that begins with places", lambda g: draw_sentences(g, ["oow", "oww"])),
        Regime("as many tokens as numbers", lambda g: draw_sentences(g, ["wow", "oow", "wwo"])),
        Regime("double precision", lambda g: draw_sentences(g, ["wwoo", "owow"], dtype=torch.float64)),
        Regime("one feature too many", lambda g: draw_sentences(g, ["wowo"], more=1)),
        Regime("one feature too few", lambda g: draw_sentences(g, ["wooo"], more=-1)),
        Regime("one feature for three places", lambda g: draw_sentences(g, ["wow", "woo"], more=-2)),
        Regime("a feature and no place", lambda g: draw_sentences(g, ["www"], more=1)),
        Regime("eight sentences of 20 tokens", lambda g: draw_anywhere(g, 8, 20, 16)),
    ),
    oracle=inject_by_loop,
    gradients=(0, 3),
    misconceptions=(
        Misconception(
            "count not checked",
            lambda table, tokens, placeholder, features: scattered(table[tokens], tokens == placeholder, features),
            "Placeholders and features are not counted. With a feature too many, the last one is dropped in silence, "
            "and a picture is read without its end. Compare the two numbers first, and raise a ValueError.",
        ),
        Misconception(
            "one feature copied",
            uncounted,
            "Placeholders and features are not counted. An assignment copies a single feature to every placeholder "
            "without a word. Compare the two numbers first, and raise a ValueError.",
        ),
        Misconception(
            "until one runs out",
            until_one_ends,
            "The loop ends where features or placeholders run out, and the others are forgotten in silence. "
            "Compare the two numbers first, and raise a ValueError.",
        ),
        Misconception(
            "added",
            injected(
                lambda vectors, places, features: scattered(vectors, places, features) + places[..., None] * vectors
            ),
            "The features are added to the placeholder's own vector. A placeholder only keeps the place: "
            "its vector is replaced.",
        ),
        Misconception(
            "column by column",
            injected(by_columns),
            "The features are dealt out column by column, so that one sentence gets what another one saw. "
            "Reading order: the first sentence to its end, then the second.",
        ),
        Misconception(
            "restarted in each sentence",
            injected(restarted),
            "Every sentence begins again with the first feature, so that all of them see the first picture. "
            "The features run on from one sentence to the next.",
        ),
        Misconception(
            "the same feature everywhere",
            injected(lambda vectors, places, features: scattered(vectors, places, features[:1].expand_as(features))),
            "Every placeholder gets the first feature. Each gets its own: a picture is several tokens.",
        ),
        Misconception(
            "always in front",
            injected(in_front),
            "The features stand at the beginning of each sentence. They belong where the placeholders are, "
            "with words before, between and after.",
        ),
        Misconception(
            "one place late",
            injected(lambda vectors, places, features: scattered(vectors, places.roll(1, 1), features)),
            "The features stand one place behind the placeholders. Here nothing is shifted: only the loss looks one "
            "token ahead.",
        ),
        Misconception(
            "features detached",
            injected(lambda vectors, places, features: scattered(vectors, places, features.detach())),
            "The values are right, and no gradient reaches the features. With the language model frozen, the encoder "
            "is all that could learn. Leave .detach() and .data out, and torch.no_grad() too.",
        ),
        Misconception(
            "words detached",
            injected(lambda vectors, places, features: scattered(vectors.detach(), places, features)),
            "The values are right, and no gradient reaches the table of words. Whether the language model is frozen "
            "decides whoever trains it, not this function. Leave .detach() out.",
        ),
    ),
    why="The language model reads vectors and does not ask where they come from. The count is checked, because "
    "features that slip by one place still look like features.",
)


# ---------------------------------------------------------------------------------------------------- palme.labels

Turn = tuple[list[int], list[int]]
Conversations = tuple[list[list[Turn]], int, int]
Tables = tuple[Tensor, Tensor]


def draw_conversations(
    g: Generator, turns: Sequence[Sequence[tuple[int, int]]], pad: int | None = None, *, one_token: bool = False
) -> Conversations:
    """Conversations whose prompts and answers have given lengths; one_token: the padding is the end token too."""
    first = draw_int(g, 1, 3)
    pad = draw_int(g, 1, 9) if pad is None else pad
    end = pad if one_token else pad + first
    words = [token for token in range(30) if token not in (pad, end)]

    def some(length: int) -> list[int]:
        return shuffled(g, words)[:length]

    return [[(some(p), some(a)) for p, a in conversation] for conversation in turns], pad, end


def labels_by_loop(conversations: list[list[Turn]], pad: int, end: int) -> Tables:
    """Token by token, each written down with its label; then filled up to the longest."""
    rows = []
    for conversation in conversations:
        row = []
        for prompt, answer in conversation:
            for token in prompt:
                row.append((token, -100))
            for token in [*answer, end]:
                row.append((token, token))
        rows.append(row)
    longest = max(len(row) for row in rows)
    filled = [row + [(pad, -100)] * (longest - len(row)) for row in rows]
    both = torch.tensor(filled)
    return both[..., 0], both[..., 1]


Row = tuple[list[int], list[int]]


def labelled_by(one: Callable[[list[Turn], int], Row], *, left: bool = False) -> Callable[..., Tables]:
    """Tokens and labels of each conversation by another rule, filled up as they should be, or on the left."""

    def labelled(conversations: list[list[Turn]], pad: int, end: int) -> Tables:
        tokens, labels = zip(*(one(turns, end) for turns in conversations), strict=True)
        return filled(tokens, pad, left), filled(labels, -100, left)

    return labelled


def filled(rows: Sequence[list[int]], value: int, left: bool) -> Tensor:
    """Rows of one length."""
    sequences = [torch.tensor(row, dtype=torch.int64) for row in rows]
    return pad_sequence(sequences, batch_first=True, padding_value=value, padding_side="left" if left else "right")


def relabelled(change: Callable[[Tensor, Tensor, int], Tensor]) -> Callable[..., Tables]:
    """The right tokens, and labels made of the two right tables and the padding."""

    def labelled(conversations: list[list[Turn]], pad: int, end: int) -> Tables:
        tokens, labels = labels_by_loop(conversations, pad, end)
        return tokens, change(tokens, labels, pad)

    return labelled


def row_of(turns: list[Turn], end: int) -> list[int]:
    """All tokens of a conversation."""
    return [token for prompt, answer in turns for token in (*prompt, *answer, end)]


def answers_of(turns: list[Turn], end: list[int]) -> list[int]:
    """The right labels of a conversation, with other labels at the ends of its answers."""
    return [label for prompt, answer in turns for label in (*[-100] * len(prompt), *answer, *end)]


def all_but(turns: list[Turn], end: int, ignored: int) -> Row:
    """So many tokens ignored at the beginning, all others counted."""
    row = row_of(turns, end)
    return row, [-100] * ignored + row[ignored:]


def without_ends(turns: list[Turn], last: list[int]) -> Row:
    """No end behind an answer, but for what follows the last."""
    return [t for prompt, answer in turns for t in (*prompt, *answer)] + last, answers_of(turns, []) + last


def last_answer(turns: list[Turn], end: int) -> Row:
    """What comes before the last answer is context."""
    return all_but(turns, end, len(row_of(turns, end)) - len(turns[-1][1]) - 1)


def twice_shifted(tokens: Tensor, labels: Tensor, pad: int) -> Tensor:
    """Each label one place earlier."""
    return torch.cat([labels[:, 1:], torch.full_like(labels[:, :1], -100)], dim=1)


LABELS = Task(
    id="palme.labels",
    title="Which tokens are to be learned?",
    function="labelled",
    minutes=12,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("two short conversations", lambda g: draw_conversations(g, [[(3, 1)], [(2, 1)]])),
        Regime("answers of unlike lengths", lambda g: draw_conversations(g, [[(4, 3)], [(2, 1)], [(5, 2)]])),
        Regime("two turns", lambda g: draw_conversations(g, [[(3, 2), (2, 1)], [(4, 2)]])),
        Regime("three turns and one", lambda g: draw_conversations(g, [[(2, 1), (2, 2), (1, 1)], [(6, 3)]])),
        Regime("one conversation", lambda g: draw_conversations(g, [[(4, 2)]])),
        Regime("all of one length", lambda g: draw_conversations(g, [[(3, 2)], [(2, 3)]])),
        Regime("nothing to say", lambda g: draw_conversations(g, [[(3, 0)], [(2, 2)]])),
        Regime("padding is token 0", lambda g: draw_conversations(g, [[(3, 2)], [(5, 1)]], pad=0)),
        Regime(
            "padding and end are one token",
            lambda g: draw_conversations(g, [[(2, 2)], [(3, 1), (2, 2)]], one_token=True),
        ),
        Regime(
            "16 conversations",
            lambda g: draw_conversations(
                g, [[(draw_int(g, 3, 9), draw_int(g, 0, 6)) for _ in range(draw_int(g, 1, 4))] for _ in range(16)]
            ),
        ),
    ),
    oracle=labels_by_loop,
    misconceptions=(
        Misconception(
            "prompt counted",
            labelled_by(lambda turns, end: all_but(turns, end, 0)),
            "The prompts are labels too, so that the model learns to say what it is told. Nobody asks it to invent "
            "instructions, and at a placeholder there is no word to say. Their labels are −100.",
        ),
        Misconception(
            "first prompt alone ignored",
            labelled_by(lambda turns, end: all_but(turns, end, len(turns[0][0]))),
            "Only the first prompt is ignored. In a conversation every prompt is told, not said: −100 in each turn.",
        ),
        Misconception(
            "last answer only",
            labelled_by(last_answer),
            "Only the last answer is learned. Every turn holds an answer, and each is a lesson: what was said "
            "before it is its context.",
        ),
        Misconception(
            "shifted twice",
            relabelled(twice_shifted),
            "The labels are moved one place to the left. The loss does that already; done twice, the model learns "
            "to say the word after the next. Leave each label under its own token.",
        ),
        Misconception(
            "padding counted",
            relabelled(lambda tokens, labels, pad: labels.where(row_ends(labels), pad)),
            "The padding of the labels is the padding token, so that the model learns to say it. "
            "Fill up the labels with −100.",
        ),
        Misconception(
            "every padding token ignored",
            relabelled(lambda tokens, labels, pad: labels.where(tokens != pad, -100)),
            "Whatever is the padding token is ignored. Where padding and end are one token, as in many language "
            "models, the end is never learned, and the model talks on. Ignore by place, not by value.",
        ),
        Misconception(
            "end missing",
            labelled_by(lambda turns, end: without_ends(turns, [])),
            "No answer ends. Without the end token the model never learns to stop: put it behind every answer, "
            "in the tokens and in the labels.",
        ),
        Misconception(
            "end only once",
            labelled_by(lambda turns, end: without_ends(turns, [end])),
            "There is one end a conversation. In use the model answers turn by turn, and must stop after each: "
            "the end token stands behind every answer.",
        ),
        Misconception(
            "end not learned",
            labelled_by(lambda turns, end: (row_of(turns, end), answers_of(turns, [-100]))),
            "The end token stands in the tokens, and its label is −100. To stop is part of the answer: "
            "the label of the end is the end.",
        ),
        Misconception(
            "0 for ignored",
            relabelled(lambda tokens, labels, pad: labels.clamp(min=0)),
            "The ignored places hold 0. That is the number of a token, and the model learns to say it. "
            "What the loss leaves out is −100.",
        ),
        Misconception(
            "filled up on the left",
            labelled_by(lambda turns, end: (row_of(turns, end), answers_of(turns, [end])), left=True),
            "The rows are filled up on the left. That is for generation, where every row must end where the answer "
            "begins. For training fill up on the right.",
        ),
    ),
    why="The loss counts what the model is to say, and nothing that it is told: not the prompt, not the picture's "
    "places, not the padding. The end counts, because to stop is part of an answer.",
)


def row_ends(labels: Tensor) -> Tensor:
    """True up to the last label that counts in each row, where its conversation ends."""
    return (labels != -100).flip(1).cumsum(1).flip(1) > 0


# ----------------------------------------------------------------------------------------------------- palme.slots

Slots = tuple[Tensor, Tensor, Tensor, Tensor]


def draw_slots(
    g: Generator, there: str, f: int = 4, d: int = 3, *, blank: bool = False, dtype: torch.dtype = torch.float32
) -> Slots:
    """Slots of objects, 1 for one that is there and 0 for one that is not, their names, a table, a weight.

    blank: whether absent objects leave nothing but zeros behind.
    """
    flags = torch.tensor([float(flag) for flag in there], dtype=dtype)
    slots = torch.cat([flags[:, None], torch.randn(len(there), f - 1, generator=g, dtype=dtype)], dim=1)
    if blank:
        slots = slots * flags[:, None]
    words = len(there) + 6
    names = torch.randperm(words, generator=g)[: len(there)]
    table = torch.randn(words, d, generator=g, dtype=dtype)
    return slots, names, table, torch.randn(f, d, generator=g, dtype=dtype)


def draw_three_slots(g: Generator) -> Slots:
    """The middle one of three objects is absent; numbers to be followed by hand."""
    slots, names, table, weight = draw_slots(g, "101", 3, 2)
    return rounded(slots), names, rounded(table), rounded(weight)


def draw_many_slots(g: Generator) -> Slots:
    """Twelve objects, half of them there."""
    return draw_slots(g, "".join(["0", *shuffled(g, "11111100000")]), 10, 16)


def slots_by_loop(slots: Tensor, names: Tensor, table: Tensor, weight: Tensor) -> Tensor:
    """Object by object, number by number."""
    rows = []
    for slot, name in zip(slots, names.tolist(), strict=True):
        if slot[0] == 1:
            rows.append(table[name])
            rows.append(sum(number * row for number, row in zip(slot, weight, strict=True)))
    return torch.stack(rows) if rows else table.new_zeros(0, table.shape[1])


def slots_by(arrange: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """Words and tokens of the objects that are there, put together in another way."""

    def slot_vectors(slots: Tensor, names: Tensor, table: Tensor, weight: Tensor) -> Tensor:
        there = slots[:, 0] == 1
        return arrange(table[names[there]], slots[there] @ weight)

    return slot_vectors


def one_by_one(words: Tensor, tokens: Tensor) -> Tensor:
    """A word, its token, the next word, its token."""
    return torch.stack([words, tokens], dim=1).flatten(0, 1)


def everything_there(slots: Tensor, names: Tensor, table: Tensor, weight: Tensor) -> Tensor:
    """All objects, there or not."""
    return one_by_one(table[names], slots @ weight)


def absent_as_zeros(slots: Tensor, names: Tensor, table: Tensor, weight: Tensor) -> Tensor:
    """Zeros in the place of what is absent."""
    there = (slots[:, :1] == 1).to(slots.dtype)
    return one_by_one(table[names] * there, slots @ weight * there)


def any_number(slots: Tensor, names: Tensor, table: Tensor, weight: Tensor) -> Tensor:
    """There is what has some number."""
    there = (slots != 0).any(1)
    return one_by_one(table[names[there]], slots[there] @ weight)


def names_not_filtered(slots: Tensor, names: Tensor, table: Tensor, weight: Tensor) -> Tensor:
    """The first names, whoever is there."""
    there = slots[:, 0] == 1
    return one_by_one(table[names[: int(there.sum())]], slots[there] @ weight)


def with_places(slots: Tensor, names: Tensor, table: Tensor, weight: Tensor) -> Tensor:
    """To each token comes a vector for its place in the list."""
    there = slots[:, 0] == 1
    return one_by_one(table[names[there]], slots[there] @ weight + table[: len(slots)][there])


SLOTS = Task(
    id="palme.slots",
    title="One token an object",
    function="slot_vectors",
    minutes=10,
    difficulty="medium",
    points=2,
    regimes=(
        Regime("three objects, one absent", draw_three_slots),
        Regime("all there", lambda g: draw_slots(g, "111")),
        Regime("the first is absent", lambda g: draw_slots(g, "0111")),
        Regime("absent ones are all zeros", lambda g: draw_slots(g, "01011", blank=True)),
        Regime("one object there", lambda g: draw_slots(g, "0010")),
        Regime("nothing there", lambda g: draw_slots(g, "000")),
        Regime("as many objects as numbers", lambda g: draw_slots(g, "1101", 4, 4)),
        Regime("double precision", lambda g: draw_slots(g, "0110", dtype=torch.float64)),
        Regime("twelve objects", draw_many_slots),
    ),
    oracle=slots_by_loop,
    misconceptions=(
        Misconception(
            "one token for all",
            slots_by(lambda words, tokens: one_by_one(words, tokens.mean(0, keepdim=True).expand_as(tokens))),
            "All objects share one token, the mean of theirs. Which of them stands where is then lost: "
            "each name is followed by the token of its own object.",
        ),
        Misconception(
            "order of the objects learned",
            with_places,
            "A vector for the place in the list is added to each token. The list has no order: shuffle it, and the "
            "same object must give the same token. The name says which one it is.",
        ),
        Misconception(
            "absent objects kept",
            everything_there,
            "Absent objects are in the sentence as well. What is not there has no name to be called by: "
            "leave out both, its name and its token.",
        ),
        Misconception(
            "absent objects as zeros",
            absent_as_zeros,
            "Absent objects are zeros in the sentence. A row of zeros is still a token, which takes a place and is "
            "read. Leave the rows out.",
        ),
        Misconception(
            "there is what has a number",
            any_number,
            "Whatever has a number other than 0 is taken to be there. An absent object keeps its last numbers: "
            "only the first number of a slot tells.",
        ),
        Misconception(
            "names not filtered",
            names_not_filtered,
            "The absent objects are taken out of the slots and not out of the names, so that what follows them is "
            "called by another's name. Filter both.",
        ),
        Misconception(
            "token before its name",
            slots_by(lambda words, tokens: one_by_one(tokens, words)),
            "Each token stands before its name. The name comes first; the token behind it says where the object is.",
        ),
        Misconception(
            "all names first",
            slots_by(lambda words, tokens: torch.cat([words, tokens])),
            "All names come first, then all tokens. Which belongs to which is then told by the order alone. "
            "Put each token right behind its name.",
        ),
        Misconception(
            "name added to the token",
            slots_by(lambda words, tokens: words + tokens),
            "Name and token are added to one vector. They are two words of the sentence: the name, then the token.",
        ),
        Misconception(
            "no names",
            slots_by(lambda words, tokens: tokens),
            "The tokens come without names. An instruction says red, and nothing here tells which token red is: "
            "put the vector of its name before each.",
        ),
    ),
    why="The name says which object, the token behind it says where: so the list may come in any order, and may be of "
    "any length. PaLM-E calls it an entity referral.",
)


# -------------------------------------------------------------------------------------------------- palme.run_plan

Stacks = list[list[str]]
Moves = list[tuple[str, str]]
Job = tuple[Stacks, Moves, Moves, Moves]
Outcome = tuple[bool, int | None]
COLOURS = ("red", "green", "blue", "yellow", "purple", "orange", "cyan", "pink")
TABLE = "table"


def moved(stacks: Stacks, block: str, onto: str) -> Stacks | None:
    """The stacks after a move, or None where it cannot be carried out."""
    tops = {stack[-1]: place for place, stack in enumerate(stacks) if stack}
    if block not in tops or block == onto or below(stacks, block) == onto or onto not in (*tops, TABLE):
        return None
    there = stacks.index([]) if onto == TABLE else tops[onto]
    after = [[one for one in stack if one != block] for stack in stacks]
    after[there].append(block)
    return after


def below(stacks: Stacks, block: str) -> str | None:
    """What a block stands on; None where there is no such block."""
    for stack in stacks:
        if block in stack:
            return [TABLE, *stack][stack.index(block)]
    return None


def reached(stacks: Stacks, goal: Moves) -> bool:
    """Whether all stands as it should."""
    return all(below(stacks, block) == onto for block, onto in goal)


def draw_job(g: Generator, stacks: str, plan: str, goal: str, written: str) -> Job:
    """A job whose letters become colours, and whose stacks come in any order: "ab c", "b_ ac" (_ is the table)."""
    names = dict(zip("abcdef", shuffled(g, COLOURS), strict=False)) | {"_": TABLE}
    columns = [[names[letter] for letter in stack] for stack in stacks.split()]
    columns = shuffled(g, columns + [[]] * (4 - len(columns)))
    moves = [[(names[one], names[other]) for one, other in text.split()] for text in (plan, goal, written)]
    return columns, *moves


def job(stacks: str, plan: str, goal: str, written: str) -> Callable[[Generator], Job]:
    """How a job is drawn."""
    return lambda g: draw_job(g, stacks, plan, goal, written)


def run_by_places(stacks: Stacks, plan: Moves, goal: Moves, written: Moves) -> Outcome:
    """With a list of what stands on what, block by block."""
    under = {block: on for stack in stacks for block, on in zip(stack, [TABLE, *stack], strict=False)}
    for number, (block, onto) in enumerate(plan, start=1):
        covered = [on for on in under.values() if on != TABLE]
        known = block in under and (onto in under or onto == TABLE)
        if not known or block in covered or onto in covered or onto == block or under[block] == onto:
            return False, number
        under[block] = onto
    return all(under.get(block) == onto for block, onto in goal), None


def walk(stacks: Stacks, plan: Moves) -> tuple[list[Stacks], list[int]]:
    """All states that a plan meets when it goes on after every failure, and the steps that failed."""
    states, failed = [stacks], []
    for number, move in enumerate(plan, start=1):
        after = moved(states[-1], *move)
        states.append(states[-1] if after is None else after)
        failed += [number] if after is None else []
    return states, failed


def judged_by(verdict: Callable[[list[Stacks], list[int], Moves], Outcome]) -> Callable[..., Outcome]:
    """Another verdict on a plan that is carried out up to the first step that fails."""

    def run_plan(stacks: Stacks, plan: Moves, goal: Moves, written: Moves) -> Outcome:
        states, failed = walk(stacks, plan)
        return verdict(states[: failed[0]] if failed else states, failed, goal)

    return run_plan


def goes_on(stacks: Stacks, plan: Moves, goal: Moves, written: Moves) -> Outcome:
    """A step that fails is left out."""
    states, failed = walk(stacks, plan)
    return reached(states[-1], goal), failed[0] if failed else None


def last_failure(stacks: Stacks, plan: Moves, goal: Moves, written: Moves) -> Outcome:
    """The step that failed last."""
    states, failed = walk(stacks, plan)
    return (False, failed[-1]) if failed else (reached(states[-1], goal), None)


def last_step(stacks: Stacks, plan: Moves, goal: Moves, written: Moves) -> Outcome:
    """The last move alone, from the first state."""
    after = moved(stacks, *plan[-1]) if plan else stacks
    return (False, len(plan)) if after is None else (reached(after, goal), None)


def each_from_the_start(stacks: Stacks, plan: Moves, goal: Moves, written: Moves) -> Outcome:
    """Every move in the first state."""
    after = stacks
    for number, move in enumerate(plan, start=1):
        after = moved(stacks, *move)
        if after is None:
            return False, number
    return reached(after, goal), None


def shortest_only(stacks: Stacks, plan: Moves, goal: Moves, written: Moves) -> Outcome:
    """Longer plans do not count."""
    solved, failed = run_by_places(stacks, plan, goal, written)
    return solved and len(plan) <= len(written), failed


RUN_PLAN = Task(
    id="palme.run_plan",
    title="Does the plan work?",
    function="run_plan",
    minutes=12,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("a plan as it was written", job("ab c", "b_ ac", "ac", "b_ ac")),
        Regime("another plan that works", job("ab c d", "bd ac", "ac", "b_ ac")),
        Regime("a detour", job("ab c d", "bd b_ ac", "ac", "b_ ac")),
        Regime("the first step fails", job("ab c", "ac", "ac", "b_ ac")),
        Regime("a step fails on the way", job("ab c d", "bd dc ac", "ac", "b_ ac")),
        Regime("two steps fail", job("ab c d", "ca bd dc ac", "ac", "b_ ac")),
        Regime("reached and left again", job("ab c", "b_ ac ab", "ac", "b_ ac")),
        Regime("reached, then a step fails", job("ab c", "b_ ac cb", "ac", "b_ ac")),
        Regime("carried out, and not reached", job("ab c", "bc", "ac", "b_ ac")),
        Regime("half of a tower", job("a b c", "bc", "bc ab", "bc ab")),
        Regime("a whole tower", job("a bd c", "d_ bc ab", "bc ab", "d_ bc ab")),
        Regime("nothing to do, nothing done", job("ca b", "", "ac", "")),
        Regime("to do, and nothing done", job("a b c", "", "ab", "ab")),
        Regime("a block that is not there", job("ab c", "b_ ad", "ac", "b_ ac")),
        Regime("a move that changes nothing", job("a bc", "a_ ac", "ac", "ac")),
    ),
    oracle=run_by_places,
    misconceptions=(
        Misconception(
            "compared as text",
            lambda stacks, plan, goal, written: (plan == written, None),
            "The plan is compared with the written one. Many plans lead to the same goal, and this calls all but one "
            "of them wrong. Carry the moves out, and look at the end.",
        ),
        Misconception(
            "last step only",
            last_step,
            "Only the last move is carried out, in the first state. It stands on all the others: "
            "carry the plan out from its first move on.",
        ),
        Misconception(
            "every step from the start",
            each_from_the_start,
            "Every move is tried in the first state. A move begins where the one before it ended: keep what "
            "moved returns.",
        ),
        Misconception(
            "carried out is enough",
            judged_by(lambda states, failed, goal: (not failed, failed[0] if failed else None)),
            "A plan counts as soon as all its moves can be carried out, wherever they lead. "
            "Look at the goal in the last state.",
        ),
        Misconception(
            "goes on after a failure",
            goes_on,
            "A step that fails is left out, and the plan goes on. A robot whose hand came up empty does not know what "
            "the next step will do. The first failure ends the run, and the plan has failed.",
        ),
        Misconception(
            "goal at any time",
            judged_by(
                lambda states, failed, goal: (any(reached(s, goal) for s in states), failed[0] if failed else None)
            ),
            "It is enough here that the goal held at some moment. A plan that reaches it and leaves it again "
            "has not solved anything: ask once, at the end.",
        ),
        Misconception(
            "failed but counted",
            judged_by(lambda states, failed, goal: (reached(states[-1], goal), failed[0] if failed else None)),
            "A step failed, and the plan counts because the goal held when it did. Who plans a step that is impossible "
            "did not know where things stand: a plan with a failed step is not solved.",
        ),
        Misconception(
            "counted from 0",
            judged_by(
                lambda states, failed, goal: (False, failed[0] - 1) if failed else (reached(states[-1], goal), None)
            ),
            "The steps are counted from 0. The first step is step 1: enumerate(plan, start=1).",
        ),
        Misconception(
            "the last failure named",
            last_failure,
            "The step that is named is the last that fails. What comes after the first failure has no meaning: "
            "stop there, and name that one.",
        ),
        Misconception(
            "failed step not named",
            judged_by(lambda states, failed, goal: (not failed and reached(states[-1], goal), None)),
            "The step that failed is not named. Return its number, counted from 1, beside False.",
        ),
        Misconception(
            "one pair is enough",
            judged_by(
                lambda states, failed, goal: (
                    (False, failed[0]) if failed else (any(below(states[-1], a) == b for a, b in goal), None)
                )
            ),
            "One pair of the goal is enough here. A tower stands when all of its pairs do.",
        ),
        Misconception(
            "only the shortest",
            shortest_only,
            "A plan that is longer than the written one counts as failed. A detour arrives too: "
            "what counts is the state at the end.",
        ),
    ),
    why="A plan is right when it works: every step can be carried out, and the goal holds at the end. The written plan "
    "is one of many, and the number of the first failed step tells where the model lost the thread.",
)


# ---------------------------------------------------------------------------------------------------- palme.replan

Plans = dict[str, list[str]]
World = dict[str, dict[str, str]]
Loop = tuple[str, Plans, World, int]
MOVES = ("lift", "push", "pull", "turn")


def draw_loop(g: Generator, steps: int, most: int, *, surprises: bool = True) -> Loop:
    """A way of so many steps to a state in which there is nothing to do.

    surprises: whether plans expect something else after their first move; else each foresees the whole way.
    """
    states = shuffled(g, "ABCDEFGHJKLMNPQRSTUVWXYZ")[: steps + 2]  # the last one is off the way
    way = [shuffled(g, MOVES)[0]]
    while len(way) < steps:
        way.append(shuffled(g, [move for move in MOVES if move != way[-1]])[0])
    plans: Plans = {}
    for i in range(steps):
        others = [move for move in MOVES if move not in way[i : i + 2]]
        rest = shuffled(g, others) if surprises and i < steps - 1 else way[i + 1 :] if i < steps - 1 else []
        plans[states[i]] = [way[i], *rest]
    plans |= {states[steps]: [], states[-1]: [way[-1]] if steps else []}
    world: World = {}
    for i, state in enumerate(states):
        on = states[i + 1] if i < steps else None
        elsewhere = [one for one in (*states[:steps], states[-1]) if one != on] or [state]
        world[state] = {move: shuffled(g, elsewhere)[0] for move in MOVES}
        if on is not None:
            world[state][way[i]] = on
    if steps:
        world[states[-1]][way[-1]] = states[steps]
    return states[0], plans, world, most


def replan_by_recursion(start: str, plans: Plans, world: World, most: int) -> list[str]:
    """Look, do one step, and do the rest from there with one step less."""
    plan = plans[start]
    if plan == [] or most == 0:
        return [start]
    return [start, *replan_by_recursion(world[start][plan[0]], plans, world, most - 1)]


def looping(
    move: Callable[[list[str]], str] = lambda plan: plan[0],
    done: Callable[[list[str]], bool] = lambda plan: not plan,
    more: int = 0,
) -> Callable[..., list[str]]:
    """The loop with another move of the plan, another reason to stop, or more steps."""

    def replan(start: str, plans: Plans, world: World, most: int) -> list[str]:
        states = [start]
        while len(states) <= most + more and not done(plans[states[-1]]):
            states.append(world[states[-1]][move(plans[states[-1]])])
        return states

    return replan


def blindly(start: str, plans: Plans, world: World, most: int) -> list[str]:
    """One look, and the whole plan."""
    states = [start]
    for move in plans[start][:most]:
        states.append(world[states[-1]][move])
    return states


def plan_by_plan(start: str, plans: Plans, world: World, most: int) -> list[str]:
    """A look only when a plan is at its end."""
    states = [start]
    while len(states) <= most and plans[states[-1]]:
        for move in plans[states[-1]][: most + 1 - len(states)]:
            states.append(world[states[-1]][move])
    return states


def never_stopping(start: str, plans: Plans, world: World, most: int) -> list[str]:
    """With nothing to do, it waits for the last step."""
    states = [start]
    for _ in range(most):
        plan = plans[states[-1]]
        states.append(world[states[-1]][plan[0]] if plan else states[-1])
    return states


def one_look_behind(start: str, plans: Plans, world: World, most: int) -> list[str]:
    """The plan is made of the picture taken before the last move."""
    states, seen = [start], start
    while len(states) <= most and plans[seen]:
        now = world[states[-1]][plans[seen][0]]
        seen = states[-1]
        states.append(now)
    return states


REPLAN = Task(
    id="palme.replan",
    title="Look again after every step",
    function="replan",
    minutes=12,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("two steps, and a surprise", lambda g: draw_loop(g, 2, 5)),
        Regime("four steps, a surprise at each", lambda g: draw_loop(g, 4, 9)),
        Regime("all as it was foreseen", lambda g: draw_loop(g, 3, 7, surprises=False)),
        Regime("one step", lambda g: draw_loop(g, 1, 4)),
        Regime("nothing to do", lambda g: draw_loop(g, 0, 3)),
        Regime("just enough steps", lambda g: draw_loop(g, 3, 3)),
        Regime("too few steps", lambda g: draw_loop(g, 5, 3)),
        Regime("a single step allowed", lambda g: draw_loop(g, 3, 1)),
        Regime("ten steps", lambda g: draw_loop(g, 10, 14)),
    ),
    oracle=replan_by_recursion,
    misconceptions=(
        Misconception(
            "acts without looking",
            blindly,
            "It looks once, and carries out the whole plan with closed eyes. When somebody moves a block, the rest of "
            "the plan is about a world that is gone. Look again after every move.",
        ),
        Misconception(
            "looks when the plan is done",
            plan_by_plan,
            "It carries out a whole plan before it looks again. A surprise is then seen too late. "
            "Of each plan do only the first move.",
        ),
        Misconception(
            "never stops",
            never_stopping,
            "It goes on when there is nothing more to do. An empty plan means that the goal is reached: stop there.",
        ),
        Misconception(
            "stops before the last move",
            looping(done=lambda plan: len(plan) <= 1),
            "It stops when a plan has one move left, and that move is never made. Stop at an empty plan.",
        ),
        Misconception(
            "last move first",
            looping(move=lambda plan: plan[-1]),
            "It carries out the last move of each plan. The first one is what can be done now: plan[0].",
        ),
        Misconception(
            "one look behind",
            one_look_behind,
            "Each plan is made of the state before the last move, so that every move comes one step late. "
            "Look after the move, then plan.",
        ),
        Misconception(
            "limit counts states",
            looping(more=-1),
            "It makes one move too few: the limit counts moves, and there is one state more than moves.",
        ),
        Misconception(
            "no limit",
            looping(more=1000),
            "It makes more moves than allowed. A model that is wrong may go in circles, and a robot with no limit "
            "does so all night. Stop after `most` moves.",
        ),
        Misconception(
            "first state missing",
            lambda start, plans, world, most: replan_by_recursion(start, plans, world, most)[1:],
            "The first state is missing. The run begins where the first look does: states = [start].",
        ),
    ),
    why="Only the first move of a plan meets the world that was looked at. With a new look before every move, "
    "a surprise costs some moves and not the goal.",
)


# ----------------------------------------------------------------------------------------------- palme.unguessable

Example = tuple[Stacks, str, Moves]
Exam = tuple[list[Example], list[Stacks]]

#: Letters for blocks, in the stacks, in the instruction in braces, and in the plan.
HIDDEN = ("ab c d", "put {a} on {c}", "b_ ac")
HIDDEN_LATE = ("c b ad", "stack {a} on {b} on {c}", "bc d_ ab")
ALL_HIDDEN = ("abc d", "clear {a}", "c_ b_")
SPREAD = ("abc", "put every block on the table", "c_ b_")
TOWER = ("c b a", "stack {a} on {b} on {c}", "bc ab")
TURNED = ("ab c", "put {a} on {b}", "b_ ab")
ONE_HIDDEN = ("ab c", "clear {a}", "b_")
ONE_NAMED = ("a b c", "put {a} on {b}", "ab")
DONE = ("ba c", "put {a} on {b}", "")


def draw_examples(g: Generator, kinds: Sequence[tuple[str, str, str]]) -> tuple[list[Example], list[Stacks]]:
    """Examples of those kinds in any order, with arrangements that none of them has."""
    examples = []
    for stacks, instruction, plan in shuffled(g, kinds):
        names = dict(zip("abcd", shuffled(g, COLOURS), strict=False)) | {"_": TABLE}
        columns = [[names[letter] for letter in stack] for stack in stacks.split()]
        moves = [(names[one], names[other]) for one, other in plan.split()]
        examples.append((shuffled(g, columns + [[]] * (4 - len(columns))), instruction.format(**names), moves))
    return examples, [shuffled(g, [["white", "grey"], ["black"], [], []])]


def draw_known(g: Generator, change: Callable[[Generator, Stacks], Stacks], which: int = 2) -> Exam:
    """Four examples that cannot be guessed, and arrangements made of so many of them, among others."""
    examples, others = draw_examples(g, [HIDDEN, ALL_HIDDEN, HIDDEN_LATE, SPREAD])
    made = [change(g, stacks) for stacks, _, _ in shuffled(g, examples)[:which]]
    return examples, shuffled(g, made + others)


def another_order(g: Generator, stacks: Stacks) -> Stacks:
    """The columns in an order that is not the same."""
    order = stacks
    while order == stacks:
        order = shuffled(g, stacks)
    return order


def upside_down(g: Generator, stacks: Stacks) -> Stacks:
    """Every stack turned over."""
    return [stack[::-1] for stack in stacks]


def flat(g: Generator, stacks: Stacks) -> Stacks:
    """The same blocks, side by side in two stacks."""
    blocks = sorted(blocks_of(stacks))
    return [blocks[:2][::-1], blocks[2:][::-1], [], []]


def draw_uncovered(g: Generator) -> Exam:
    """An instruction with a word that holds a colour without naming it."""
    a, b = shuffled(g, [colour for colour in COLOURS if colour != "red"])[:2]
    stacks = shuffled(g, [[a, "red"], [b], [], []])
    return [(stacks, f"put {a} on the uncovered {b}", [("red", TABLE), (a, b)])], [[["white"], [], [], []]]


def measured_by_loop(examples: list[Example], trained_on: list[Stacks]) -> list[bool]:
    """Example by example; an arrangement is known where every column has its like, however they are ordered."""
    verdicts = []
    for stacks, instruction, plan in examples:
        hidden = [block for block, _ in plan if block not in instruction.split(" ")]
        known = False
        for seen in trained_on:
            left = list(seen)
            for stack in stacks:
                if stack in left:
                    left.remove(stack)
            known = known or (len(stacks) == len(seen) and left == [])
        verdicts.append(len(plan) > 1 and len(hidden) > 0 and not known)
    return verdicts


def measured_with(
    *,
    least: int = 2,
    hides: Callable[[list[str], Moves], bool] = lambda words, plan: any(block not in words for block, _ in plan),
    alike: Callable[[Stacks, Stacks], bool] = lambda one, other: sorted(one) == sorted(other),
) -> Callable[..., list[bool]]:
    """The three conditions, one of them another one."""
    return lambda examples, trained_on: [
        len(plan) >= least and hides(instruction.split(), plan) and not any(alike(stacks, seen) for seen in trained_on)
        for stacks, instruction, plan in examples
    ]


def blocks_of(stacks: Stacks) -> set[str]:
    """Which blocks there are."""
    return {block for stack in stacks for block in stack}


def within_stacks(stacks: Stacks) -> list[list[str]]:
    """Which blocks stand together."""
    return sorted(sorted(stack) for stack in stacks)


UNGUESSABLE = Task(
    id="palme.unguessable",
    title="Which examples may be measured on?",
    function="fit_to_measure",
    minutes=12,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("four kinds", lambda g: draw_examples(g, [HIDDEN, ONE_HIDDEN, ONE_NAMED, TOWER])),
        Regime("the named block moves first", lambda g: draw_examples(g, [HIDDEN_LATE, TOWER])),
        Regime("a block is taken off and put back", lambda g: draw_examples(g, [TURNED, HIDDEN])),
        Regime("clear a block", lambda g: draw_examples(g, [ALL_HIDDEN, ONE_HIDDEN])),
        Regime("nothing to do", lambda g: draw_examples(g, [DONE, HIDDEN])),
        Regime("no block named", lambda g: draw_examples(g, [SPREAD, TOWER])),
        Regime("a word that holds a colour", draw_uncovered),
        Regime("trained on two of them", lambda g: draw_known(g, lambda g, stacks: stacks)),
        Regime("trained on two in another order", lambda g: draw_known(g, another_order)),
        Regime("trained on stacks turned over", lambda g: draw_known(g, upside_down, 4)),
        Regime("trained on the same blocks", lambda g: draw_known(g, flat, 4)),
        Regime(
            "eighteen",
            lambda g: draw_examples(
                g, 2 * [HIDDEN, HIDDEN_LATE, ALL_HIDDEN, SPREAD, TOWER, TURNED, ONE_HIDDEN, ONE_NAMED, DONE]
            ),
        ),
    ),
    oracle=measured_by_loop,
    misconceptions=(
        Misconception(
            "length alone",
            measured_with(hides=lambda words, plan: True),
            "Every plan of two moves counts. Some can be read off the instruction: stack red on blue on green names "
            "both moves. Ask also for a block that moves and is not named.",
        ),
        Misconception(
            "hidden blocks alone",
            measured_with(least=1),
            "Plans of one move count as well. With one block to guess, a blind model is right too often: "
            "ask for two moves or more.",
        ),
        Misconception(
            "three moves or more",
            measured_with(least=3),
            "Plans of two moves are left out. Two or more are asked for: len(plan) >= 2.",
        ),
        Misconception(
            "all must be hidden",
            measured_with(hides=lambda words, plan: all(block not in words for block, _ in plan)),
            "Here no block that moves may be named. One that is not named is enough: who cannot see it fails.",
        ),
        Misconception(
            "where it goes is counted",
            measured_with(hides=lambda words, plan: any(onto not in words for _, onto in plan)),
            "The place where a block goes is looked up in the instruction, not the block. The table is hardly ever "
            "named, and everybody can guess it. Look up what moves.",
        ),
        Misconception(
            "first move only",
            measured_with(hides=lambda words, plan: plan[0][0] not in words),
            "Only the first move is looked at. The block that one must see may move later: any of the moves.",
        ),
        Misconception(
            "the wrong way round",
            measured_with(hides=lambda words, plan: any(word in COLOURS and word not in dict(plan) for word in words)),
            "This asks for a block that is named and does not move. Wanted is one that moves and is not named.",
        ),
        Misconception(
            "training not looked at",
            measured_with(alike=lambda one, other: False),
            "What the model was trained on is not looked at. An arrangement that it has seen may be remembered: "
            "leave those out.",
        ),
        Misconception(
            "another order is new",
            measured_with(alike=lambda one, other: one == other),
            "The same stacks in other columns count as new. To a planner they are the same arrangement, and it has "
            "learned the plan. Compare the columns without their order: sorted(stacks).",
        ),
        Misconception(
            "the same blocks are known",
            measured_with(alike=lambda one, other: blocks_of(one) == blocks_of(other)),
            "Whatever has the same blocks counts as known. Another arrangement of them is another problem: "
            "compare the stacks.",
        ),
        Misconception(
            "order within stacks ignored",
            measured_with(alike=lambda one, other: within_stacks(one) == within_stacks(other)),
            "The order within the stacks is ignored. What stands on what is all that matters here: "
            "sort the columns, and leave each as it is.",
        ),
        Misconception(
            "letters, not words",
            lambda examples, trained_on: [
                len(plan) >= 2 and any(b not in text for b, _ in plan) and sorted(stacks) not in map(sorted, trained_on)
                for stacks, text, plan in examples
            ],
            "The colour is searched among the letters of the instruction, and red is found in uncovered. "
            "Compare words: instruction.split().",
        ),
    ),
    why="What remains can be solved only by who sees the blocks: a blind model cannot name what it must move, and no "
    "arrangement can be remembered. A score on all examples flatters models that do not look.",
)


TASKS = (INJECT, LABELS, SLOTS, RUN_PLAN, REPLAN, UNGUESSABLE)
