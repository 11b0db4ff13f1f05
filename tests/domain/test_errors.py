"""Every error code with its HTTP status, as clients know them. Source: auth-and-errors.md 6 and 8, operations.md 17."""

from openrds.domain.errors import ErrorCode, Refusal

#: Written out, not computed: what is not here is not in the contract as openrds reads it.
CONTRACT = {
    # 8.1 Tasks, general
    "PARAMETER": ("DBS.200001", 400),
    "NETWORK_NOT_FOUND": ("VPC.0003", 404),
    "NETWORK_IN_USE": ("VPC.0209", 409),
    "EMPTY_BODY": ("DBS.200006", 400),
    "BODY_SYNTAX": ("DBS.212019", 422),
    "INSTANCE_ID_FORMAT": ("DBS.280404", 400),
    "INSTANCE_NOT_FOUND": ("DBS.200002", 404),
    "TASK_NOT_FOUND": ("DBS.200543", 400),
    "FORBIDDEN": ("DBS.200010", 403),
    "TOKEN_INVALID": ("DBS.280056", 403),
    "INSTANCE_BUSY": ("DBS.200019", 409),
    "STATUS_FORBIDS": ("DBS.200086", 400),
    "INSTANCE_TYPE": ("DBS.280406", 409),
    "NOT_OFFERED": ("DBS.200402", 409),
    "FROZEN": ("DBS.280449", 400),
    "NAME": ("DBS.200021", 400),
    "QUOTA": ("DBS.200046", 413),
    # openrds' own
    "WEBHOOK_NOT_FOUND": ("DBS.290404", 404),
    "INTERNAL": ("DBS.200005", 500),
    # reads.md 4: databases, accounts, privileges
    "DATABASE_EXISTS": ("DBS.200826", 409),
    "ACCOUNT_EXISTS": ("DBS.200827", 409),
    "BUILT_IN_ACCOUNT": ("DBS.200828", 409),
    "DATABASE_NOT_FOUND": ("DBS.200823", 400),
    "ACCOUNT_NOT_FOUND": ("DBS.200824", 400),
    "REPLICA_DATABASE": ("DBS.200810", 403),
    "REPLICA_ACCOUNT": ("DBS.200819", 403),
    "REPLICA_PRIVILEGE": ("DBS.200825", 400),
    "NOT_CREATED": ("DBS.200811", 500),
    "STATUS_FORBIDS_ACCOUNTS": ("DBS.200011", 409),
    # 8.2 Create, scale, class
    "DATASTORE": ("DBS.200040", 400),
    "DATASTORE_VERSION": ("DBS.200041", 400),
    "ENGINE": ("DBS.200042", 400),
    "REPLICATION_MODE": ("DBS.200043", 400),
    "HA_MODE": ("DBS.200051", 400),
    "REGION": ("DBS.200024", 400),
    "AVAILABILITY_ZONE": ("DBS.200025", 400),
    "ZONE_COMBINATION": ("DBS.280244", 400),
    "FLAVOR": ("DBS.200053", 400),
    "FLAVOR_CHANGE": ("DBS.200054", 400),
    "FLAVOR_SOLD_OUT": ("DBS.280450", 400),
    "VOLUME_TYPE": ("DBS.200026", 400),
    "STORAGE_SOLD_OUT": ("DBS.280448", 400),
    "VOLUME_SIZE": ("DBS.200023", 400),
    "VOLUME_MULTIPLE": ("DBS.200027", 400),
    "VOLUME_NOT_LARGER": ("DBS.200306", 400),
    "REPLICA_VOLUME": ("DBS.200308", 400),
    "VPC": ("DBS.200048", 400),
    "SUBNET": ("DBS.200049", 400),
    "SECURITY_GROUP": ("DBS.200050", 404),
    "DISK_ENCRYPTION": ("DBS.200506", 400),
    "PASSWORD": ("DBS.200052", 400),
    "REPLICA_SOURCE": ("DBS.200055", 400),
    "TOO_MANY_REPLICAS": ("DBS.200056", 400),
    "TOO_MANY_TAGS": ("DBS.200087", 400),
    "DUPLICATE_TAG": ("DBS.280272", 400),
    "RESTORE_SOURCE": ("DBS.200013", 404),
    "RESTORE_VOLUME": ("DBS.200073", 400),
    # 8.3 Backup, restore
    "BACKUP_NOT_FOUND": ("DBS.201010", 404),
    "BACKUP_RUNNING": ("DBS.201205", 409),
    "BACKUP_NAME": ("DBS.280277", 400),
    "BACKUP_DESCRIPTION": ("DBS.280127", 400),
    "BACKUP_WINDOW": ("DBS.280253", 400),
    "BACKUP_PERIOD": ("DBS.280251", 400),
    "BACKUP_KEEP_DAYS": ("DBS.280250", 400),
    "DATABASE_NAME": ("DBS.201035", 400),
    # 8.4 Parameter groups
    "CONFIGURATION": ("DBS.212001", 404),
    "CONFIGURATION_QUOTA": ("DBS.212002", 400),
    "CONFIGURATION_FIXED": ("DBS.212003", 400),
    "CONFIGURATION_FAILED": ("DBS.212011", 400),
    "CONFIGURATION_IN_USE": ("DBS.212032", 400),
    "PARAMETER_UNKNOWN": ("DBS.212012", 400),
    "PARAMETER_VALUE": ("DBS.212017", 400),
    "PARAMETER_RANGE": ("DBS.280271", 400),
    # The store away: the contract has 500 for its backend; clients try again after a 503.
    "STORE_UNAVAILABLE": ("DBS.290015", 503),
    # 8.7 API gateway
    "NO_SUCH_API": ("APIGW.0101", 404),
    "METHOD_NOT_ALLOWED": ("APIGW.0101", 405),
    "BAD_REQUEST": ("APIGW.0201", 400),
    "BODY_TOO_LARGE": ("APIGW.0201", 413),
    "ADDRESS_TOO_LONG": ("APIGW.0201", 414),
    "UNAUTHENTICATED": ("APIGW.0301", 401),
    "PROJECT_MISMATCH": ("APIGW.0306", 403),
    "THROTTLED": ("APIGW.0308", 429),
}


def test_every_error_has_the_code_and_the_status_of_the_contract() -> None:
    assert {error.name: (error.code, error.status) for error in ErrorCode} == CONTRACT


def test_a_refusal_says_its_own_message_or_what_its_code_means() -> None:
    assert str(Refusal(ErrorCode.NAME)) == "The instance name is not valid."
    refusal = Refusal(ErrorCode.NAME, "No.")
    assert (str(refusal), refusal.error) == ("No.", ErrorCode.NAME)
