"""Definitions that several scenarios have: what they show is something else."""

CLICKS = """
streams:
  clicks:
    key: user
    time: ts
    fields:
      user: {type: string, required: true}
      ts: {type: timestamp, unit: us}
views:
  per_user:
    from: clicks
    features:
      n: count()
"""

# One stream under two keys.
HITS = """
streams:
  hits:
    key: page
    time: ts
    fields: {page: int64, shop: string, number: int64, ts: {type: timestamp, unit: us}}
views:
  pages: {from: hits, features: {n: count(), total: sum(number)}}
  shops: {from: hits, key: shop, features: {n: count(), total: sum(number)}}
"""

# A stream alone: views of it follow.
PAYMENTS = """
streams:
  payments:
    key: user_id
    time: ts
    fields:
      payment_id: string
      user_id: {type: string, required: true}
      amount: float64
      status: string
      ts: {type: timestamp, unit: ms}
"""

# One with a field of each usual type; views follow.
SHOP_PAYMENTS = """
streams:
  payments:
    key: user_id
    time: ts
    fields:
      user_id: {type: string, required: true}
      shop: int64
      amount: float64
      price: decimal(12,2)
      ok: bool
      ts: {type: timestamp, unit: us}
"""
