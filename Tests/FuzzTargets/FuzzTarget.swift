/// A parser that is given bytes that nobody has checked, and what must hold of whatever it makes of them.
///
/// Run by libFuzzer (`Scripts/fuzz`), which looks for new ways through the code, and by the tests with
/// mutants of the seeds, the same ones each time.
public struct FuzzTarget: Sendable {
  /// As `Scripts/fuzz` takes it.
  public let name: String
  /// Inputs that reach far; those of real clients besides where they are there.
  public let seeds: [[UInt8]]
  /// Words of the grammar, which mutants are made of.
  public let words: [String]
  /// Inputs that once broke it.
  public let regressions: [[UInt8]]
  /// Crashes, hangs or throws where the parser is wrong. Rejecting an input is right.
  public let run: @Sendable (UnsafeRawBufferPointer) throws(BrokenLaw) -> Void

  public init(
    _ name: String, seeds: [[UInt8]], words: [String] = [], regressions: [[UInt8]] = [],
    run: @escaping @Sendable (UnsafeRawBufferPointer) throws(BrokenLaw) -> Void
  ) {
    self.name = name
    self.seeds = seeds
    self.words = words
    self.regressions = regressions
    self.run = run
  }
}

/// What a parser made of an input is not what it must be.
public struct BrokenLaw: Error, CustomStringConvertible {
  public let description: String

  public init(_ description: String) { self.description = description }

  static func unless(_ holds: Bool, _ law: @autoclosure () -> String) throws(BrokenLaw) {
    if !holds { throw BrokenLaw(law()) }
  }
}

/// Every target.
public enum FuzzCatalog {
  public static let all: [FuzzTarget] =
    JSONTargets.all + TextTargets.all + FrameTargets.all + SpoolTargets.all + SchemaTargets.all
    + KeyTargets.all + EdgeTargets.all + QueryTargets.all + SketchTargets.all + ProtocolTargets.all
    + SealedTargets.all + RequestTargets.all + ScanTargets.all + ExperimentTargets.all
    + DecisionTargets.all

  public static func target(_ name: String) -> FuzzTarget? { all.first { $0.name == name } }
}

extension String {
  var bytes: [UInt8] { Array(utf8) }
}

/// Two texts with a zero byte between them; see ``halves(_:)``.
func pair(_ first: String, _ second: String) -> [UInt8] {
  var bytes = Array(first.utf8)
  bytes.append(0)
  bytes.append(contentsOf: second.utf8)
  return bytes
}

/// Names of members as they stand in JSON, with the words of JSON itself.
func words(_ members: [String], _ others: [String] = []) -> [String] {
  var words = JSONTargets.words
  for member in members { words.append("\"" + member + "\":") }
  words.append(contentsOf: others)
  return words
}

/// The input in front of the first zero byte, and what is behind it.
func halves(
  _ input: UnsafeRawBufferPointer
) -> (first: UnsafeRawBufferPointer, second: UnsafeRawBufferPointer) {
  let gap = input.firstIndex(of: 0) ?? input.count
  return (
    UnsafeRawBufferPointer(rebasing: input[..<gap]),
    UnsafeRawBufferPointer(rebasing: input[min(gap + 1, input.count)...])
  )
}

func text(_ bytes: UnsafeRawBufferPointer) -> String { String(decoding: bytes, as: UTF8.self) }
