"""What a team's program does: the SDK of Feast, with nothing of weir. Run by the Python of build/feast-venv, in a
directory with a feature_store.yaml; writes what it got as JSON."""
import json
import sys
from datetime import timedelta

from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, ValueType
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.types import Array, Bool, Float64, Int64, String, UnixTimestamp

store = FeatureStore(repo_path=".")
user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)
shop = Entity(name="shop", join_keys=["shop"], value_type=ValueType.INT64)
source = FileSource(name="nowhere", path="nowhere.parquet", timestamp_field="ts")


def view(name, entity, **fields):
    return FeatureView(name=name, entities=[entity], ttl=timedelta(days=0), source=source,
                       schema=[Field(name=field, dtype=kind) for field, kind in fields.items()])


views = [view("spend", user, n=Int64, total_7d=Float64, ratio=Float64, all_ok=Bool, most=String, seen=UnixTimestamp,
              newest=Array(Float64)),
         view("shops", shop, n_shop=Int64, mean_shop=Float64)]
model = FeatureService(name="model", features=[views[0][["n", "total_7d"]]])
store.apply([user, shop, *views, model])

asked = json.loads(sys.argv[1])
answer = store.get_online_features(features=asked["features"], entity_rows=asked["rows"],
                                   full_feature_names=asked.get("full", False))
# without what depends on the SDK's own Python types
out = {name: [value.isoformat() if hasattr(value, "isoformat") else value for value in values]
       for name, values in answer.to_dict().items()}
# the way of a program that reads from the store itself, view by view
keys = [EntityKey(join_keys=["user_id"], entity_values=[Value(string_val=row["user_id"])]) for row in asked["rows"]]
read = store._get_provider().online_read(store.config, store.get_feature_view("spend"), keys,
                                         ["n", "total_7d", "newest"])
rows = [{"ts": ts.isoformat() if ts else None,
         **{name: (list(value.double_list_val.val) if value.WhichOneof("val") == "double_list_val" else
                   getattr(value, value.WhichOneof("val")) if value.WhichOneof("val") else None)
            for name, value in values.items()}} for ts, values in read]
errors = []
for features in (["spnd:n"], ["spend:nothing"]):
    try:
        store._get_provider().online_store.get_online_features(store.config, features, asked["rows"], store.registry,
                                                               store.project)
        errors.append(None)
    except Exception as error:
        errors.append(type(error).__name__)
service = store.get_online_features(features=store.get_feature_service("model"), entity_rows=[
    {"user_id": row["user_id"]} for row in asked["rows"]]).to_dict()
json.dump({"answer": out, "service": service, "rows": rows, "errors": errors}, sys.stdout)
