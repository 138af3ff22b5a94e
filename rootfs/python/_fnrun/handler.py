"""Finds the function's handler, and sets up the world its module is imported into."""

import builtins
import os
import sys

import _sitebuiltins
import importlib

from _fnrun import Fault

# The interpreter runs without `site` (a quarter of its start time); what of it a function can notice is here.
_SYSTEM_PACKAGES = "/usr/lib/python3/dist-packages"


def prepare_path(task_root):
    """Puts the function's code first, then its layers, on sys.path, where this program's own folder was."""
    roots = [task_root]
    # A PYTHONPATH of the function's own replaces the folders of layers, as on AWS.
    if os.environ.get("PYTHONPATH", "") in ("", os.environ.get("LAMBDA_RUNTIME_DIR")):
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        roots += [f"/opt/python/lib/python{version}/site-packages", "/opt/python"]
    sys.path[0:1] = roots
    if sys.flags.no_site:
        sys.path.append(_SYSTEM_PACKAGES)
        builtins.exit = _sitebuiltins.Quitter("exit", "Ctrl-D (i.e. EOF)")
        builtins.quit = _sitebuiltins.Quitter("quit", "Ctrl-D (i.e. EOF)")
    for root in roots:
        _run_path_files(root)


def _run_path_files(root):
    try:
        has_path_files = any(name.endswith(".pth") for name in os.listdir(root))
    except OSError:
        return
    if has_path_files:
        import site

        site.addsitedir(root)


def load(name):
    """The handler called `name` ("module.function", "folder/module.function")."""
    try:
        module_name, function_name = name.rsplit(".", 1)
    except ValueError as error:
        raise Fault("Runtime.MalformedHandlerName", f"Bad handler '{name}': {error}") from None
    if module_name.split(".")[0] in sys.builtin_module_names:
        message = f"Cannot use built-in module {module_name} as a handler module"
        raise Fault("Runtime.BuiltInModuleConflict", message)
    module = _import(module_name)
    try:
        return getattr(module, function_name)
    except AttributeError:
        message = f"Handler '{function_name}' missing on module '{module_name}'"
        raise Fault("Runtime.HandlerNotFound", message) from None


def _import(module_name):
    try:
        return importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        message = f"Unable to import module '{module_name}': {error}"
        raise Fault("Runtime.ImportModuleError", message) from None
    except SyntaxError as error:
        where = f'  File "{error.filename}" Line {error.lineno}\n    {error.text}'
        message = f"Syntax error in module '{module_name}': {error}"
        raise Fault("Runtime.UserCodeSyntaxError", message, [where]) from None
