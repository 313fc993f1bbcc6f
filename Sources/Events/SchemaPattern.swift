/// A regular expression of a schema: the part of ECMA-262 that is regular, matched in linear time.
///
/// Characters, `.`, classes, `\d \w \s` and their opposites, groups, `|`, `* + ?` and `{m,n}`, `^` and `$`.
/// References and look-around are refused: what is matched comes from outside, and with those a match may
/// take exponential time. Matches anywhere in the text, as JSON Schema has it.
///
/// Source: K. Thompson, "Regular Expression Search Algorithm", CACM 11 (1968), as R. Cox lays it out in
/// "Regular Expression Matching: the Virtual Machine Approach" (2009): all threads of the machine go over
/// the text together. Cost: characters × instructions.
public struct SchemaPattern: Hashable, Sendable {
  /// Longer programs are refused, which bounds the cost per character.
  static let instructionsMax = 1000
  /// Longer texts match no pattern, which bounds the cost of a text.
  static let charactersMax = 4096

  enum Instruction: Hashable, Sendable {
    case character(CharacterSet)
    case split(Int, Int)
    case jump(Int)
    case atStart
    case atEnd
    case match
  }

  /// Ranges of scalars, or all others.
  struct CharacterSet: Hashable, Sendable {
    var ranges: [ClosedRange<UInt32>]
    var isNegated = false

    func contains(_ scalar: UInt32) -> Bool {
      ranges.contains { $0.contains(scalar) } != isNegated
    }
  }

  /// Why a text is no pattern.
  public struct Malformed: Error, Hashable, Sendable {
    public let what: String
  }

  /// As it is written.
  public let text: String
  private let program: [Instruction]

  public init(_ text: String) throws(Malformed) {
    self.text = text
    var parser = SchemaPatternParser(text)
    let tree = try parser.whole()
    var program: [Instruction] = []
    try tree.compile(to: &program)
    program.append(.match)
    self.program = program
  }

  /// Whether some part of the text matches.
  public func matches(_ text: String) -> Bool {
    let scalars = Array(text.unicodeScalars.prefix(Self.charactersMax + 1))
    guard scalars.count <= Self.charactersMax else { return false }
    var threads = Threads(program.count)
    var standing: [Int] = []
    for place in 0...scalars.count {
      threads.removeAll()
      // A match may begin at each character.
      for thread in standing + [0] {
        let isEnd = place == scalars.count
        if add(thread, to: &threads, isStart: place == 0, isEnd: isEnd) { return true }
      }
      guard place < scalars.count else { break }
      standing.removeAll(keepingCapacity: true)
      for thread in threads.reading {
        if case .character(let set) = program[thread], set.contains(scalars[place].value) {
          standing.append(thread + 1)
        }
      }
    }
    return false
  }

  /// The instructions at which the machine stands.
  private struct Threads {
    /// Those that read a character.
    var reading: [Int] = []
    var isThere: [Bool]

    init(_ count: Int) { isThere = [Bool](repeating: false, count: count) }

    mutating func removeAll() {
      for index in isThere.indices { isThere[index] = false }
      reading.removeAll(keepingCapacity: true)
    }
  }

  /// Follows what needs no character.
  ///
  /// - Returns: whether it leads to a match.
  private func add(
    _ start: Int, to threads: inout Threads, isStart: Bool, isEnd: Bool
  ) -> Bool {
    var stack = [start]
    while let place = stack.popLast() {
      guard !threads.isThere[place] else { continue }
      threads.isThere[place] = true
      switch program[place] {
      case .match: return true
      case .jump(let target): stack.append(target)
      case .split(let first, let second):
        stack.append(second)
        stack.append(first)
      case .atStart: if isStart { stack.append(place + 1) }
      case .atEnd: if isEnd { stack.append(place + 1) }
      case .character: threads.reading.append(place)
      }
    }
    return false
  }
}
