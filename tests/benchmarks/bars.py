"""A bar: what was measured, what is asked for, met or not."""

from dataclasses import dataclass, field


@dataclass
class Bars:
    """Prints each bar as it is measured, and remembers whether one was missed."""

    missed: int = field(default=0, init=False)

    def at_most(self, what: str, measured: float, bar: float, unit: str = "") -> None:
        met = measured <= bar
        self.missed |= int(not met)
        print(f"{what}: {measured:.3g}{unit} (bar: at most {bar:g}{unit}) {_word(met)}", flush=True)

    def at_least(self, what: str, measured: float, bar: float, unit: str = "") -> None:
        met = measured >= bar
        self.missed |= int(not met)
        text = f"{what}: {measured:.3g}{unit} (bar: at least {bar:g}{unit}) {_word(met)}"
        print(text, flush=True)

    def unknown(self, what: str, why: str) -> None:
        print(f"{what}: not measured: {why}", flush=True)


def _word(met: bool) -> str:
    return "met" if met else "NOT MET"
