"""python -m permafrost parquet FILE.parquet... | extract - -o CACHE.h5 ..."""
import sys

from .parquet import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
