"""`wbvla VERB ...`: finds the verb, imports only its module, and turns wbvla's errors into one clear line."""

import importlib
import os
import sys

from wbvla import __version__
from wbvla.core.errors import WbvlaError

VERBS = {
    "demo": "the whole loop in miniature: data, learning, deployment, evaluation, report",
    "doctor": "what this computer has, what is missing, and what to do about it",
    "record": "collect episodes: `realsense` (film people), `sim`, `egovideo` (drawn people), `expert`",
    "data": "look at datasets, check, repair and change them",
    "train": "train a recipe: `wbvla train x2-lmo`, `wbvla train tiny-lam-locomotion` ...",
    "label": "write latent-action codes of a trained LAM into a dataset",
    "export": "join a trained VLA and an LMO into a bundle",
    "keys": "make the CURVE keys with which a robot and its server know each other",
    "serve": "answer observations with action chunks (the GPU machine)",
    "run": "the 50 Hz robot loop, on a simulated or a real body",
    "eval": "seeded trials through the deployed loop, with an HTML report",
    "preflight": "the checklist before training and before a robot moves, each line measured",
    "lmo": "check low-level controllers, drive them by keyboard, export them",
}


def usage() -> str:
    """The help text, without importing any verb."""
    width = max(len(v) for v in VERBS)
    rows = "\n".join(f"  {verb:<{width}}  {text}" for verb, text in VERBS.items())
    return (
        f"wbvla {__version__}: train a humanoid to walk and use its hands from language and vision,\n"
        "and put it safely on a robot.\n\n"
        f"usage: wbvla VERB [options]      wbvla VERB --help explains a verb\n\n{rows}\n\n"
        "Start with `wbvla demo`; it needs nothing else."
    )


def main(argv: list[str] | None = None) -> int:
    """Run one verb; returns 0 done, 1 refused with a reason, 2 unknown verb, 130 interrupted, 141 nobody reads us."""
    args = list(sys.argv[1:] if argv is None else argv)
    if not args or args[0] in ("-h", "--help", "help"):
        sys.stdout.write(usage() + "\n")
        return 0
    if args[0] in ("-V", "--version"):
        sys.stdout.write(f"wbvla {__version__}\n")
        return 0
    verb = args[0]
    if verb not in VERBS:
        sys.stderr.write(f"wbvla: unknown verb {verb!r}; known: {', '.join(VERBS)}\n")
        return 2
    # idle worker threads that spin take the cores from physics, rendering and the server beside them
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        return importlib.import_module(f"wbvla.cli.{verb}").main(args[1:])
    except WbvlaError as error:
        sys.stderr.write(f"wbvla {verb}: {error}\n")
        return 1
    except BrokenPipeError:  # whoever read us (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        sys.stderr.write(f"\nwbvla {verb}: interrupted; what was finished is kept, run the same command to go on\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
