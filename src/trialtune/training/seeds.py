"""Seeds of a run's random choices, so that no random state has to be saved."""


def step_seed(seed: int, step: int, part: int = 0) -> int:
    """The seed of one step's random choices, in one part of its batch."""
    return (seed * 1_000_003 + step + part * 1_000_000_007) % 2**63
