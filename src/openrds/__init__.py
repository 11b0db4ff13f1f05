"""A self-hosted relational database service behind the Huawei Cloud RDS v3 API."""

__version__ = "0.3.0"
