"""weir: the Python client of a weir cluster. docs/python.md is the guide.

    import weir

    with weir.Client("my-project") as client:
        client.send("payments", [{"user_id": "u1", "amount": 12.5, "ts": datetime.now(timezone.utc)}])
        result = client.get("user_spend", ["spend_7d"], {"user_id": "u1"})
        print(result["spend_7d"], result.complete)
"""

from .answer import Answer, Missing, Result
from .client import Change, Client
from .errors import KINDS, Error
from .sender import Refused, Report, Sender, new_producer
from .training import TrainingSet, training_set, write_training_set
from .types import Map
from .version import VERSION as __version__
from .versions import Annotation, Version

__all__ = ["KINDS", "Annotation", "Answer", "Change", "Client", "Error", "Map", "Missing", "Refused", "Report", "Result", "Sender",
           "TrainingSet", "Version", "__version__", "new_producer", "training_set", "write_training_set"]
