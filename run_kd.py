"""python run_kd.py --model=MKD --dataset=ml-100k"""

import sys

if __name__ == "__main__":
    try:
        from recbole_kd.__main__ import main

        code = main()
    except KeyboardInterrupt:  # while the package is imported, which takes seconds
        print("recbole_kd: interrupted", file=sys.stderr)
        code = 130
    sys.exit(code)
