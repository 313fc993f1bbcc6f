"""Says of each line {"schema": …, "instance": …} of a file whether the instance fits, as jsonschema has it.

Prints one line of 0 and 1.
"""

import json
import sys

from jsonschema import Draft202012Validator


def main():
    with open(sys.argv[1], encoding="utf-8") as lines:
        cases = [json.loads(line) for line in lines]
    for case in cases:
        Draft202012Validator.check_schema(case["schema"])
    print(
        "".join(
            "1" if Draft202012Validator(case["schema"]).is_valid(case["instance"]) else "0"
            for case in cases
        )
    )


if __name__ == "__main__":
    main()
