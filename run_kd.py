"""python run_kd.py --model=MKD --dataset=ml-100k"""

import sys

try:
    from recbole_kd.compat import require_recbole

    require_recbole()
    from recbole_kd.cli import main
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(2)

if __name__ == "__main__":
    sys.exit(main())
