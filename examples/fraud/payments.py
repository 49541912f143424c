"""Made-up card payments: people who pay where they live what they usually pay, and now and then a stolen card, which is
emptied within the hour. A function of the seed and of when history ends."""
import random

COUNTRIES = ["AT", "CH", "DE", "FR", "IT", "NL", "PL"]
CARDS, MERCHANTS = 3000, 200
DAY = 86_400_000_000  # µs
COLUMNS = ["payment_id", "card", "merchant", "amount", "country", "ts"]


class Cards:
    """Who pays, where and how much."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.home = [self.random.choice(COUNTRIES) for _ in range(CARDS)]
        self.usual = [self.random.lognormvariate(3, 0.6) for _ in range(CARDS)]
        self.count = 0

    def merchant(self):
        return min(int(self.random.expovariate(0.02)), MERCHANTS - 1)

    def payment(self, card, ts, factor=1.0, country=None):
        self.count += 1
        amount = self.usual[card] * self.random.lognormvariate(0, 0.5) * factor
        if country is None:
            abroad = self.random.random() < 0.03
            country = self.random.choice(COUNTRIES) if abroad else self.home[card]
        return {"payment_id": f"p{self.count}", "card": f"card{card}", "merchant": f"shop{self.merchant()}",
                "amount": round(amount, 2), "country": country, "ts": ts}

    def theft(self, card, ts, apart):
        """What a thief pays with the card from ts on; `apart` µs between two payments at the most."""
        country = self.random.choice(COUNTRIES)
        for _ in range(self.random.randint(4, 12)):
            yield self.payment(card, ts, self.random.uniform(1.5, 6), country)
            ts += self.random.randint(apart // 10, apart)


def history(cards, end, days=45, events=120_000, thefts=400):
    """[(payment, is it fraud)] in the order of their times, before `end` (µs)."""
    made = []
    for _ in range(events):
        card = int(cards.random.triangular(0, CARDS, 0))
        made.append((cards.payment(card, end - cards.random.randint(1, days * DAY)), False))
    for _ in range(thefts):
        card = cards.random.randrange(CARDS)
        begin = end - cards.random.randint(DAY // 12, days * DAY)
        made += [(payment, True) for payment in cards.theft(card, begin, 400_000_000)]
    made = [one for one in made if one[0]["ts"] < end]
    made.sort(key=lambda one: one[0]["ts"])
    return made


def live(cards, count):
    """(payment without a time, is it fraud): what comes next, thefts in between."""
    stolen = []
    for _ in range(count):
        if not stolen and cards.random.random() < 0.01:
            stolen = list(cards.theft(cards.random.randrange(CARDS), 0, 10))
        if stolen and cards.random.random() < 0.3:
            yield stolen.pop(0), True
        else:
            yield cards.payment(int(cards.random.triangular(0, CARDS, 0)), 0), False
