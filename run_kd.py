"""python run_kd.py --model=MKD --dataset=ml-100k"""

import sys

if __name__ == "__main__":
    try:
        from recbole_kd.__main__ import main
    except ImportError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:  # before the package could take care of it
        print("recbole_kd: interrupted", file=sys.stderr)
        sys.exit(130)
    sys.exit(main())
