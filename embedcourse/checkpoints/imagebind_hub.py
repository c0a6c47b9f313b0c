"""The hub of chapter 11: a CLIP of the world's pictures and captions, trained longer than a reader would wait.

Its twin is blind to motion. One thing differs: its pictures show the objects at rest. Its captions say the motion as
before, so that it hears of motion without ever seeing it, as both hubs hear of temperature. The factors that are said
are then the same for both, and what fails to emerge fails because pictures do not show it.
"""

from jaxtyping import Float
from torch import Tensor, nn

from embedcourse.checkpoints.recipe import Recipe
from embedcourse.checkpoints.weights import load_weights
from embedcourse.evaluation import retrieval_recall
from embedcourse.models.clip import CLIP, clip_objective, world_clip, zero_shot_classifier
from embedcourse.training import fit
from embedcourse.world import FACTORS, Scenes, prompts, render, sample

__all__ = ["RECIPES", "hub_pictures", "load_hub"]

WIDTH, STEPS, BATCH, RATE = 24, 3000, 256, 4e-3
#: Scenes to train on, fewer for a short run, and to measure on. Seeds that nothing else in the course uses.
SCENES, MEASURED = 49152, 1000
SCENES_SEED, MEASURED_SEED = 11_000_001, 11_000_002


def load_hub(*, motion_blind: bool = False) -> CLIP:
    """The shipped hub, in evaluation mode; `motion_blind` gives the one whose pictures never showed motion.

    Raises: FileNotFoundError and ValueError as `load_weights`.
    """
    hub = world_clip(WIDTH)
    hub.load_state_dict(load_weights("imagebind_hub_motion_blind" if motion_blind else "imagebind_hub"))
    return hub.eval()


def hub_pictures(scenes: Scenes, *, motion_blind: bool = False) -> Float[Tensor, "n 3 32 32"]:
    """Pictures as a hub sees them: to the motion-blind one everything rests.

    Raises: nothing.
    """
    return render(scenes.change("still") if motion_blind else scenes, "image")


def recipe(name: str, purpose: str, *, motion_blind: bool) -> Recipe:
    """The recipe of one of the two hubs."""

    def train(hub: nn.Module, steps: int, seed: int) -> None:
        scenes = sample(min(SCENES, steps * BATCH), seed=SCENES_SEED)
        data = hub_pictures(scenes, motion_blind=motion_blind), render(scenes, "text")
        fit(hub, clip_objective, data, steps=steps, batch_size=BATCH, lr=RATE, seed=seed, device="cpu")

    def measure(hub: CLIP) -> dict[str, float]:
        scenes = sample(MEASURED, seed=MEASURED_SEED)
        embedded = hub.embed_image(hub_pictures(scenes, motion_blind=motion_blind))
        told = hub.embed_text(render(scenes, "text"))
        factors = [factor for factor in FACTORS if factor != "position"]
        return {
            "text -> image R@10 of 1000": retrieval_recall(told, embedded, k=10),
            **{f"zero-shot {factor}": named_right(hub, embedded, scenes, factor) for factor in factors},
        }

    data = (
        f"{SCENES} scenes of the world (seed {SCENES_SEED}), each a picture "
        f"{'of the object at rest ' if motion_blind else ''}and a caption; metrics on {MEASURED} other scenes "
        f"(seed {MEASURED_SEED}), each factor named by the nearest of its prompts"
    )
    return Recipe(
        name, purpose, data, STEPS, small_steps=60, build=lambda: world_clip(WIDTH), train=train, measure=measure
    )


def named_right(hub: CLIP, embedded: Float[Tensor, "n d"], scenes: Scenes, factor: str) -> float:
    """Share of scenes whose embedding is nearest to the prompt of the right value of a factor."""
    found = (embedded @ zero_shot_classifier(hub, prompts(factor)).T).argmax(1)
    return (found == scenes.labels(factor)).double().mean().item()


RECIPES = (
    recipe(
        "imagebind_hub",
        "Chapter 11: the frozen image and text encoders to which ImageBind binds the other senses.",
        motion_blind=False,
    ),
    recipe(
        "imagebind_hub_motion_blind",
        "Chapter 11: the same hub, trained alike on pictures that do not show motion, while captions tell it.",
        motion_blind=True,
    ),
)
