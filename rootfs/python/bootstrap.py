# Started as `python3.13 -S /var/runtime/bootstrap.py` in a function's sandbox.
# Short, because Python keeps no compiled form of the program it starts with. The test of __name__ is for
# `multiprocessing`, whose children load this file again.
if __name__ == "__main__":
    from _fnrun import runtime

    runtime.main()
