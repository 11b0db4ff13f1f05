"""The errors a caller may get: code, HTTP status and meaning of each, and the exception that carries one."""

from enum import Enum


class ErrorCode(Enum):
    """Every code that openrds answers with. Source: contract, auth-and-errors.md 8."""

    code: str
    status: int
    meaning: str

    PARAMETER = ("DBS.200001", 400, "A parameter is missing or wrong.")
    EMPTY_BODY = ("DBS.200006", 400, "The request body is empty.")
    BODY_SYNTAX = ("DBS.212019", 422, "The request body cannot be understood.")
    INSTANCE_ID_FORMAT = ("DBS.280404", 400, "The instance id has a wrong format.")
    INSTANCE_NOT_FOUND = ("DBS.200002", 404, "The instance does not exist.")
    TASK_NOT_FOUND = ("DBS.200543", 400, "The job does not exist.")
    FORBIDDEN = ("DBS.200010", 403, "The caller has no right to this project.")
    TOKEN_INVALID = ("DBS.280056", 403, "The token belongs to another project.")
    INSTANCE_BUSY = ("DBS.200019", 409, "Another operation is running on the instance.")
    STATUS_FORBIDS = ("DBS.200086", 400, "The instance status does not allow the operation.")
    INSTANCE_TYPE = ("DBS.280406", 409, "The type of the instance does not allow the operation.")
    NOT_OFFERED = ("DBS.200402", 409, "The call is not offered by this openrds.")
    FROZEN = ("DBS.280449", 400, "The instance is frozen.")
    NAME = ("DBS.200021", 400, "The instance name is not valid.")
    VOLUME_SIZE = ("DBS.200023", 400, "The volume size is out of range.")
    REGION = ("DBS.200024", 400, "The region is unknown.")
    AVAILABILITY_ZONE = ("DBS.200025", 400, "The availability zone is unknown.")
    VOLUME_TYPE = ("DBS.200026", 400, "The volume type is unknown.")
    VOLUME_MULTIPLE = ("DBS.200027", 400, "The volume size is not a multiple of 10.")
    DATASTORE = ("DBS.200040", 400, "The engine or its version is not available here.")
    DATASTORE_VERSION = ("DBS.200041", 400, "The engine version is not available here.")
    ENGINE = ("DBS.200042", 400, "The engine does not exist.")
    REPLICATION_MODE = ("DBS.200043", 400, "The replication mode is not valid for the engine.")
    QUOTA = ("DBS.200046", 413, "The quota is used up.")
    VPC = ("DBS.200048", 400, "The VPC does not exist.")
    SUBNET = ("DBS.200049", 400, "The subnet does not exist.")
    SECURITY_GROUP = ("DBS.200050", 404, "The security group does not exist.")
    HA_MODE = ("DBS.200051", 400, "The HA mode is not valid.")
    PASSWORD = ("DBS.200052", 400, "The password is too weak or has characters that are not allowed.")
    FLAVOR = ("DBS.200053", 400, "The flavor does not exist.")
    FLAVOR_SOLD_OUT = ("DBS.280450", 400, "No host can hold the flavor.")
    FLAVOR_CHANGE = ("DBS.200054", 400, "The flavor cannot be changed to this one.")
    ZONE_COMBINATION = ("DBS.280244", 400, "The availability zones cannot be combined like this.")
    REPLICA_SOURCE = ("DBS.200055", 400, "The instance cannot have read replicas.")
    TOO_MANY_REPLICAS = ("DBS.200056", 400, "The instance has as many read replicas as it may have.")
    VOLUME_NOT_LARGER = ("DBS.200306", 400, "The new volume size is not larger than the present one.")
    REPLICA_VOLUME = ("DBS.200308", 400, "The volume of a read replica cannot be larger than its primary's.")
    BACKUP_NOT_FOUND = ("DBS.201010", 404, "The backup does not exist.")
    BACKUP_RUNNING = ("DBS.201205", 409, "A backup of the instance is running.")
    BACKUP_NAME = ("DBS.280277", 400, "The backup name is not valid.")
    BACKUP_DESCRIPTION = ("DBS.280127", 400, "The backup description is not valid.")
    RESTORE_SOURCE = ("DBS.200013", 404, "The instance to restore from does not exist.")
    RESTORE_VOLUME = ("DBS.200073", 400, "The volume is too small for what is to be restored.")
    DATABASE_NAME = ("DBS.201035", 400, "The name of the database or table is taken.")
    DATABASE_EXISTS = ("DBS.200826", 409, "The database exists.")
    ACCOUNT_EXISTS = ("DBS.200827", 409, "The account exists.")
    BUILT_IN_ACCOUNT = ("DBS.200828", 409, "The account is one of the system's.")
    DATABASE_NOT_FOUND = ("DBS.200823", 400, "The database does not exist.")
    ACCOUNT_NOT_FOUND = ("DBS.200824", 400, "The account does not exist.")
    REPLICA_DATABASE = ("DBS.200810", 403, "Databases cannot be changed on a read replica.")
    REPLICA_ACCOUNT = ("DBS.200819", 403, "Accounts cannot be changed on a read replica.")
    REPLICA_PRIVILEGE = ("DBS.200825", 400, "Privileges cannot be changed on a read replica.")
    NOT_CREATED = ("DBS.200811", 500, "The database or account could not be created.")
    STATUS_FORBIDS_ACCOUNTS = (
        "DBS.200011",
        409,
        "The instance status does not allow the operation on databases or accounts.",
    )
    TOO_MANY_TAGS = ("DBS.200087", 400, "There are too many tags.")
    DUPLICATE_TAG = ("DBS.280272", 400, "A tag key occurs twice.")
    CONFIGURATION = ("DBS.212001", 404, "The parameter group does not exist.")
    CONFIGURATION_QUOTA = ("DBS.212002", 400, "The project has as many parameter groups as it may have.")
    CONFIGURATION_FIXED = ("DBS.212003", 400, "A default parameter group can neither be changed nor deleted.")
    CONFIGURATION_FAILED = ("DBS.212011", 400, "The parameters could not be applied.")
    CONFIGURATION_IN_USE = ("DBS.212032", 400, "The parameter group is in use.")
    PARAMETER_UNKNOWN = ("DBS.212012", 400, "The parameter does not exist.")
    PARAMETER_VALUE = ("DBS.212017", 400, "The value of the parameter is not valid.")
    PARAMETER_RANGE = ("DBS.280271", 400, "The value of the parameter is out of range.")
    STORAGE_SOLD_OUT = ("DBS.280448", 400, "There is no disk space left for the volume.")
    BACKUP_WINDOW = ("DBS.280253", 400, "The backup window is not valid.")
    BACKUP_PERIOD = ("DBS.280251", 400, "The backup period is not valid.")
    BACKUP_KEEP_DAYS = ("DBS.280250", 400, "The days to keep backups are out of range.")
    DISK_ENCRYPTION = ("DBS.200506", 400, "The disk encryption key does not exist.")
    NETWORK_NOT_FOUND = ("VPC.0003", 404, "There is no such VPC, subnet, security group, rule or port.")
    NETWORK_IN_USE = (
        "VPC.0209",
        409,
        "Something uses it, or it is a default one, so it cannot be changed like this.",
    )
    WEBHOOK_NOT_FOUND = ("DBS.290404", 404, "The webhook or its delivery does not exist.")
    INTERNAL = ("DBS.200005", 500, "openrds failed to serve the request.")
    STORE_UNAVAILABLE = ("DBS.290015", 503, "The store does not answer; try again.")
    NO_SUCH_API = ("APIGW.0101", 404, "There is no such API.")
    METHOD_NOT_ALLOWED = ("APIGW.0101", 405, "The path does not have this method.")
    BAD_REQUEST = ("APIGW.0201", 400, "The request is no HTTP/1.1, too long, or came too slowly.")
    BODY_TOO_LARGE = ("APIGW.0201", 413, "The request body is too large.")
    ADDRESS_TOO_LONG = ("APIGW.0201", 414, "The path and the query are longer than 8 KB.")
    THROTTLED = ("APIGW.0308", 429, "More is sent than may be; try again later.")
    UNAUTHENTICATED = ("APIGW.0301", 401, "The caller could not be authenticated.")
    PROJECT_MISMATCH = ("APIGW.0306", 403, "The path's project is not the caller's.")

    def __init__(self, code: str, status: int, meaning: str) -> None:
        self.code = code
        self.status = status
        self.meaning = meaning


class Refusal(Exception):  # noqa: N818 - a refusal is an answer, not a fault
    """A request that is refused before anything is written; becomes the HTTP error of its code."""

    def __init__(self, error: ErrorCode, message: str = "") -> None:
        super().__init__(message or error.meaning)
        self.error = error
