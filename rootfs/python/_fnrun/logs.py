"""What AWS's runtime adds to `logging`: a handler on the root logger that writes its record format.

Loaded once the function has imported `logging`, which costs more than the rest of the start: see `LoggingHook`.
"""

import logging
import sys
import time

from _fnrun import runtime

_FORMAT = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n"


class LambdaLoggerFilter(logging.Filter):
    def filter(self, record):
        record.aws_request_id = runtime.request_id
        return True


class LambdaLoggerHandler(logging.Handler):
    def emit(self, record):
        text = self.format(record)
        # A formatter of the function's own, or a traceback, ends without a line end.
        sys.__stdout__.write(text if text.endswith("\n") else text + "\n")


def install():
    logging.Formatter.converter = time.gmtime
    handler = LambdaLoggerHandler()
    handler.setFormatter(logging.Formatter(_FORMAT, "%Y-%m-%dT%H:%M:%S"))
    handler.addFilter(LambdaLoggerFilter())
    logging.getLogger().addHandler(handler)
