"""The `context` argument of a handler."""

import os
import sys
import time

_env = os.environ.get
_LOG_GROUP = _env("AWS_LAMBDA_LOG_GROUP_NAME")
_NAME = _env("AWS_LAMBDA_FUNCTION_NAME")
_MEMORY = _env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
_VERSION = _env("AWS_LAMBDA_FUNCTION_VERSION")


def _describe(record, names):
    fields = ",".join(f"{name}={getattr(record, name)}" for name in names)
    return f"{type(record).__name__}([{fields}])"


class _Record:
    """Fields by name, of which those not in `values` are None."""

    __slots__ = ()

    def __init__(self, values):
        for name in self.__slots__:
            setattr(self, name, values.get(name))

    def __repr__(self):
        return _describe(self, self.__slots__)


class CognitoIdentity(_Record):
    __slots__ = ("cognito_identity_id", "cognito_identity_pool_id")


class Client(_Record):
    __slots__ = ("installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name")


class ClientContext(_Record):
    __slots__ = ("custom", "env", "client")

    def __init__(self, values):
        super().__init__(values)
        if self.client is not None:
            self.client = Client(self.client)


def _identity(cognito):
    return CognitoIdentity(
        {
            "cognito_identity_id": cognito.get("cognitoIdentityId"),
            "cognito_identity_pool_id": cognito.get("cognitoIdentityPoolId"),
        }
    )


class LambdaContext:
    """`client_context` and `identity` are what the client sent, parsed, or None."""

    def __init__(self, head, client_context, identity):
        self.aws_request_id = head["id"]
        self.log_group_name = _LOG_GROUP
        self.log_stream_name = _env("AWS_LAMBDA_LOG_STREAM_NAME")
        self.function_name = _NAME
        self.memory_limit_in_mb = _MEMORY
        self.function_version = _VERSION
        self.invoked_function_arn = head["arn"]
        self.client_context = None if client_context is None else ClientContext(client_context)
        self.identity = _identity(identity or {})
        self.tenant_id = None
        self._epoch_deadline_time_in_ms = head["deadline_ms"]

    def get_remaining_time_in_millis(self):
        return max(0, int(self._epoch_deadline_time_in_ms) - int(time.time() * 1000))

    def log(self, message):
        sys.stdout.write(str(message))

    def __repr__(self):
        return _describe(self, [name for name in vars(self) if not name.startswith("_")])
