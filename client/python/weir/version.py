"""The version: that of the programs (common/base/version.h), which a test holds it to."""

VERSION = "0.1.0"
