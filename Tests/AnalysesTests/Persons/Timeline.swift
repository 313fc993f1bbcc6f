import Events
import Oracles

@testable import Analyses

let minute: Int64 = 60_000_000

/// A person's history drawn as text: `a0 b5 ab7` are touches at minutes 0, 5 and 7; a letter is a mark, a for bit
/// 0. `a0=2` has value 2, `a0$3` revenue 3 in millionths.
func history(_ text: String) -> PersonHistory {
  PersonHistory(touches(text))
}

func touches(_ text: String) -> [PersonTouch] {
  text.split(separator: " ").enumerated().map { index, word in
    var touch = PersonTouch(
      time: 0, key: Key128(low: UInt64(index + 1), high: UInt64(index + 1)), marks: 0)
    let letters = word.prefix { $0.isLetter }
    for letter in letters.utf8 { touch.marks |= 1 << UInt32(letter - UInt8(ascii: "a")) }
    let rest = word.dropFirst(letters.count)
    let number = rest.prefix { $0.isNumber || $0 == "-" }
    touch.time = (Int64(number) ?? 0) * minute
    let tail = rest.dropFirst(number.count)
    if tail.first == "=" { touch.value = UInt32(tail.dropFirst()) ?? 0 }
    if tail.first == "$" { touch.revenueMicros = Int64(tail.dropFirst()) ?? 0 }
    return touch
  }
}

/// Touches at few moments, so that many are at the same one.
func randomTouches(
  _ random: inout SeededGenerator, count: Int, marks: Int, moments: Int
) -> [PersonTouch] {
  (0..<count).map { index in
    PersonTouch(
      time: Int64(random.below(moments)) * minute,
      key: Key128(low: random.next(), high: random.next()),
      marks: UInt32(1 + random.below((1 << marks) - 1)), value: UInt32(random.below(3)),
      revenueMicros: Int64(random.below(2_000_000)) - 500_000, currency: UInt32(random.below(2)))
  }
}
