/// A pattern as it is read.
indirect enum SchemaPatternTree {
  case empty
  case characters(SchemaPattern.CharacterSet)
  case atStart
  case atEnd
  case sequence([SchemaPatternTree])
  case choice([SchemaPatternTree])
  case repeated(SchemaPatternTree, min: Int, max: Int?)

  func compile(to program: inout [SchemaPattern.Instruction]) throws(SchemaPattern.Malformed) {
    guard program.count < SchemaPattern.instructionsMax else {
      throw SchemaPattern.Malformed(what: "is too long, repeats written out")
    }
    switch self {
    case .empty: break
    case .characters(let set): program.append(.character(set))
    case .atStart: program.append(.atStart)
    case .atEnd: program.append(.atEnd)
    case .sequence(let parts): for part in parts { try part.compile(to: &program) }
    case .choice(let parts): try Self.compile(parts[...], to: &program)
    case .repeated(let part, let min, let max):
      for _ in 0..<min {
        let before = program.count
        try part.compile(to: &program)
        // Nothing, however often, is nothing.
        if program.count == before { break }
      }
      if let max {
        var splits: [Int] = []
        for _ in 0..<Swift.max(0, max - min) {
          splits.append(program.count)
          program.append(.match)
          try part.compile(to: &program)
        }
        for split in splits { program[split] = .split(split + 1, program.count) }
      } else {
        let split = program.count
        program.append(.match)
        try part.compile(to: &program)
        program.append(.jump(split))
        program[split] = .split(split + 1, program.count)
      }
    }
  }

  private static func compile(
    _ choices: ArraySlice<SchemaPatternTree>, to program: inout [SchemaPattern.Instruction]
  ) throws(SchemaPattern.Malformed) {
    guard let first = choices.first else { return }
    guard choices.count > 1 else { return try first.compile(to: &program) }
    let split = program.count
    program.append(.match)
    try first.compile(to: &program)
    let jump = program.count
    program.append(.match)
    program[split] = .split(split + 1, program.count)
    try compile(choices.dropFirst(), to: &program)
    program[jump] = .jump(program.count)
  }
}

/// Reads a pattern (ECMA-262 section 22.2.1), as far as it is regular.
struct SchemaPatternParser {
  private typealias Malformed = SchemaPattern.Malformed
  typealias CharacterSet = SchemaPattern.CharacterSet
  private static let depthMax = 32

  private let scalars: [Unicode.Scalar]
  private var place = 0
  private var depth = 0

  init(_ text: String) { scalars = Array(text.unicodeScalars) }

  private var current: Unicode.Scalar? { place < scalars.count ? scalars[place] : nil }

  private mutating func pass(_ scalar: Unicode.Scalar) -> Bool {
    guard current == scalar else { return false }
    place += 1
    return true
  }

  mutating func whole() throws(SchemaPattern.Malformed) -> SchemaPatternTree {
    let tree = try choice()
    guard current == nil else { throw Malformed(what: "has a ) without its (") }
    return tree
  }

  private mutating func choice() throws(SchemaPattern.Malformed) -> SchemaPatternTree {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.depthMax else { throw Malformed(what: "has too many groups in groups") }
    var parts = [try sequence()]
    while pass("|") { parts.append(try sequence()) }
    return parts.count == 1 ? parts[0] : .choice(parts)
  }

  private mutating func sequence() throws(SchemaPattern.Malformed) -> SchemaPatternTree {
    var parts: [SchemaPatternTree] = []
    while let scalar = current, scalar != "|", scalar != ")" {
      let part = try term()
      parts.append(try quantified(part))
    }
    return parts.isEmpty ? .empty : .sequence(parts)
  }

  private mutating func quantified(
    _ part: SchemaPatternTree
  ) throws(SchemaPattern.Malformed) -> SchemaPatternTree {
    var bounds: (min: Int, max: Int?)
    switch current {
    case "*": bounds = (0, nil)
    case "+": bounds = (1, nil)
    case "?": bounds = (0, 1)
    case "{":
      guard let counted = try counts() else { return part }
      bounds = counted
      place -= 1
    default: return part
    }
    place += 1
    if case .atStart = part { throw Malformed(what: "repeats ^, which means nothing") }
    if case .atEnd = part { throw Malformed(what: "repeats $, which means nothing") }
    _ = pass("?")  // Which of several matches is found makes no difference here.
    if let next = current, next == "*" || next == "+" || next == "?" {
      throw Malformed(what: "has a repeat after a repeat")
    }
    return .repeated(part, min: bounds.min, max: bounds.max)
  }

  /// `{3}`, `{3,}` or `{3,5}`, passed over; nil where the brace is only a character.
  private mutating func counts() throws(SchemaPattern.Malformed) -> (min: Int, max: Int?)? {
    let start = place
    place += 1
    guard let min = number() else {
      place = start
      throw Malformed(what: "has a { that begins no repeat; write \\{")
    }
    var max: Int? = min
    if pass(",") { max = number() }
    guard pass("}"), max ?? min >= min, max ?? min <= SchemaPattern.instructionsMax else {
      throw Malformed(what: "has a repeat that is not {m}, {m,} or {m,n} with m up to n")
    }
    return (min, max)
  }

  private mutating func number() -> Int? {
    var value: Int?
    while let scalar = current, ("0"..."9").contains(scalar), value ?? 0 < 100_000 {
      value = (value ?? 0) * 10 + Int(scalar.value - 0x30)
      place += 1
    }
    return value
  }

  // MARK: Terms

  private mutating func term() throws(SchemaPattern.Malformed) -> SchemaPatternTree {
    guard let scalar = current else { return .empty }
    place += 1
    switch scalar {
    case "^": return .atStart
    case "$": return .atEnd
    case ".": return .characters(CharacterSet(ranges: Self.lineEnds, isNegated: true))
    case "(": return try group()
    case "[": return .characters(try characterClass())
    case "\\": return .characters(try escape(inClass: false))
    case "*", "+", "?": throw Malformed(what: "has a repeat of nothing")
    case "{", "}", "]": throw Malformed(what: "has a \(scalar) by itself; write \\\(scalar)")
    default: return .characters(CharacterSet(ranges: [scalar.value...scalar.value]))
    }
  }

  private mutating func group() throws(SchemaPattern.Malformed) -> SchemaPatternTree {
    if pass("?") {
      let isPlain = pass(":")
      if !isPlain {
        let after = place + 1 < scalars.count ? scalars[place + 1] : "="
        guard pass("<"), after != "=", after != "!" else {
          throw Malformed(what: "looks around with (?, which takes too long; use plain groups")
        }
        while let scalar = current, scalar != ">" { place += scalar == "(" ? scalars.count : 1 }
        guard pass(">") else { throw Malformed(what: "has a group with half a name") }
      }
    }
    let tree = try choice()
    guard pass(")") else { throw Malformed(what: "has a ( without its )") }
    return tree
  }

  private mutating func characterClass() throws(SchemaPattern.Malformed) -> CharacterSet {
    var set = CharacterSet(ranges: [], isNegated: pass("^"))
    while !pass("]") {
      let first = try classMember()
      guard first.count == 1, first[0].count == 1, current == "-",
        place + 1 < scalars.count, scalars[place + 1] != "]"
      else {
        set.ranges += first
        continue
      }
      place += 1
      let last = try classMember()
      guard last.count == 1, last[0].count == 1, last[0].lowerBound >= first[0].lowerBound else {
        throw Malformed(what: "has a range in [ ] that does not go from a lower to a higher")
      }
      set.ranges.append(first[0].lowerBound...last[0].lowerBound)
    }
    return set
  }

  private mutating func classMember() throws(SchemaPattern.Malformed) -> [ClosedRange<UInt32>] {
    guard let scalar = current else { throw Malformed(what: "has a [ without its ]") }
    place += 1
    guard scalar == "\\" else { return [scalar.value...scalar.value] }
    let set = try escape(inClass: true)
    return set.isNegated ? Self.complement(of: set.ranges) : set.ranges
  }

  private mutating func escape(inClass: Bool) throws(SchemaPattern.Malformed) -> CharacterSet {
    guard let scalar = current else { throw Malformed(what: "ends with a \\") }
    place += 1
    func one(_ value: UInt32) -> CharacterSet { CharacterSet(ranges: [value...value]) }
    switch scalar {
    case "d": return CharacterSet(ranges: Self.digits)
    case "D": return CharacterSet(ranges: Self.digits, isNegated: true)
    case "w": return CharacterSet(ranges: Self.word)
    case "W": return CharacterSet(ranges: Self.word, isNegated: true)
    case "s": return CharacterSet(ranges: Self.spaces)
    case "S": return CharacterSet(ranges: Self.spaces, isNegated: true)
    case "t": return one(9)
    case "n": return one(10)
    case "v": return one(11)
    case "f": return one(12)
    case "r": return one(13)
    case "0": return one(0)
    case "b" where inClass: return one(8)
    case "x": return one(try hexadecimal(2))
    case "u": return one(try hexadecimal(4))
    default:
      let isName =
        ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar)
        || ("1"..."9").contains(scalar)
      guard !isName else {
        throw Malformed(what: "has \\\(scalar), which is not known here")
      }
      return one(scalar.value)
    }
  }

  private mutating func hexadecimal(_ count: Int) throws(SchemaPattern.Malformed) -> UInt32 {
    let end = place + count
    guard end <= scalars.count,
      let value = UInt32(
        String(String.UnicodeScalarView(scalars[place..<end])), radix: 16),
      scalars[place] != "+"
    else { throw Malformed(what: "has an escape without its \(count) hexadecimal digits") }
    place = end
    return value
  }

  // MARK: Sets

  private static let digits: [ClosedRange<UInt32>] = [0x30...0x39]
  private static let word: [ClosedRange<UInt32>] = [
    0x30...0x39, 0x41...0x5a, 0x5f...0x5f, 0x61...0x7a,
  ]
  private static let lineEnds: [ClosedRange<UInt32>] = [0xa...0xa, 0xd...0xd, 0x2028...0x2029]
  /// White space and line ends of ECMA-262.
  private static let spaces: [ClosedRange<UInt32>] = [
    0x9...0xd, 0x20...0x20, 0xa0...0xa0, 0x1680...0x1680, 0x2000...0x200a, 0x2028...0x2029,
    0x202f...0x202f, 0x205f...0x205f, 0x3000...0x3000, 0xfeff...0xfeff,
  ]

  /// - Parameter ranges: in order, apart from each other.
  private static func complement(of ranges: [ClosedRange<UInt32>]) -> [ClosedRange<UInt32>] {
    var others: [ClosedRange<UInt32>] = []
    var next: UInt32 = 0
    for range in ranges {
      if range.lowerBound > next { others.append(next...range.lowerBound - 1) }
      next = range.upperBound + 1
    }
    others.append(next...0x10ffff)
    return others
  }
}
