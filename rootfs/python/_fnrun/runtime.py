"""The life of the runtime: init, then one invocation after the other."""

import os
import sys
from importlib.machinery import PathFinder

from _fnrun import channel, codec, context, handler

# Of the invocation in flight; log records carry it.
request_id = ""


def main():
    channel.open_channel(int(os.environ.pop("_FNRUN_CHANNEL_FD")))
    # A log line leaves the process when it is whole, so that a killed function has lost none.
    sys.stdout.reconfigure(line_buffering=True)
    sys.meta_path.insert(0, LoggingHook)
    _serve(_init())


class LoggingHook:
    """An import hook that runs logs.install() right after `logging` itself has been imported."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "logging":
            return None
        sys.meta_path.remove(LoggingHook)
        # From the standard library, as where the runtime imports it first, even if the function has a logging.py.
        spec = PathFinder.find_spec(name, [os.path.dirname(os.__file__)])
        run_module = spec.loader.exec_module

        def run_and_install(module):
            run_module(module)
            from _fnrun import logs

            logs.install()

        spec.loader.exec_module = run_and_install
        return spec


def _init():
    def load():
        handler.prepare_path(os.environ["LAMBDA_TASK_ROOT"])
        return handler.load(os.environ["_HANDLER"])

    return _get_ready(load)


def _get_ready(step):
    """Runs a step of the life before the first invocation and says READY, or why not. Returns what the step did."""
    try:
        result = step()
    except Exception as error:
        kind, head, body = channel.INIT_ERROR, *_failure(error, {})
        _flush()
        channel.send(kind, head, body)
        # Threads that the function's module has started must not keep the process.
        os._exit(1)
    _flush()
    channel.send(channel.READY, b"{}")
    return result


def _serve(function):
    global request_id
    while True:
        kind, head, event = channel.receive()
        if kind != channel.INVOKE:
            _change(kind, head)
            continue
        request_id = head["id"]
        frame = _answer(function, head, event)
        _flush()
        channel.send(*frame)


def _change(kind, head):
    """The process is about to be dumped, or has just been restored."""
    from _fnrun import snapshot

    _get_ready(snapshot.prepare if kind == channel.SNAPSHOT else lambda: snapshot.resume(head))


def _answer(function, head, event):
    """Runs one invocation and returns the frame that answers it."""
    try:
        _set_trace(head["trace"])
        result = function(codec.parse(event), _context(head))
        return channel.RESPONSE, b'{"id":"%b"}' % request_id.encode(), codec.to_body(result)
    except Exception as error:
        return channel.ERROR, *_failure(error, {"id": request_id})


def _context(head):
    client_context, identity = head.get("client_context"), head.get("identity")
    return context.LambdaContext(
        head,
        codec.parse(client_context.encode()) if client_context else None,
        codec.parse(identity.encode()) if identity else None,
    )


def _set_trace(trace):
    if trace:
        os.environ["_X_AMZN_TRACE_ID"] = trace
    else:
        os.environ.pop("_X_AMZN_TRACE_ID", None)


def _failure(error, head):
    """Logs an error; head and body of the frame that reports it."""
    from _fnrun import errors

    error_object = errors.describe(error, request_id)
    sys.__stdout__.write(errors.log_record(error_object))
    return errors.to_body({**head, "type": error_object["errorType"]}), errors.to_body(error_object)


def _flush():
    sys.__stdout__.flush()
    sys.__stderr__.flush()
