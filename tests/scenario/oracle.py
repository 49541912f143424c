"""What a feature must be, by looking at every event: for scenarios that know all that they sent."""
from fractions import Fraction
from math import fsum, isqrt


def root(fraction):
    """The float nearest to the square root."""
    if fraction == 0:
        return 0.0
    shift = max(0, 140 - fraction.numerator.bit_length() + fraction.denominator.bit_length())
    whole, rest = divmod(fraction.numerator << 2 * shift, fraction.denominator)
    found = isqrt(whole)
    if rest or found * found != whole:
        found |= 1  # rounded to odd far below the last bit of a float, so that it is rounded once
    return found / (1 << shift)


def variance(values, fewer):
    count = len(values)
    if count <= fewer:
        return None
    exact = [Fraction(v) for v in values]
    total = sum(exact)
    return (count * sum(v * v for v in exact) - total * total) / Fraction(count * (count - fewer))


def fold(aggregate, values):
    if aggregate == "count":
        return len(values)
    if not values:
        return None
    if aggregate == "sum":
        return fsum(values) if isinstance(values[0], float) else sum(values)
    if aggregate == "mean":
        return float(sum(Fraction(v) for v in values) / len(values))
    if aggregate in ("min", "max"):
        return min(values) if aggregate == "min" else max(values)
    if aggregate in ("first", "last"):
        return values[0 if aggregate == "first" else -1]
    exact = variance(values, 0 if aggregate.endswith("_pop") else 1)
    if exact is None:
        return None
    return float(exact) if aggregate.startswith("variance") else root(exact)


def value(events, as_of, aggregate, field, window, where=None):
    """Of the events (dicts with "time" in µs, in the order in which they were acknowledged) with
    as_of - window < time <= as_of. `field` None: the rows themselves. `window` None: all."""
    held = [e for e in events if e["time"] <= as_of
            and (window is None or e["time"] > as_of - window) and (where is None or where(e))]
    held.sort(key=lambda e: e["time"])  # stable: then by position
    return fold(aggregate, [1 if field is None else e[field] for e in held
                            if field is None or e[field] is not None])


def values(events, as_of, features):
    """All of `features`: name -> (aggregate, field, window[, where])."""
    return {name: value(events, as_of, *feature) for name, feature in features.items()}
