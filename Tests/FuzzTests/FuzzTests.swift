import FuzzTargets
import Testing

/// A short run of what `Scripts/fuzz` runs for long: the same inputs each time, so that what fails here fails
/// again.
@Suite("Parsers given anything", .serialized)
struct FuzzTests {
  #if DEBUG
    private static let mutantCount = 2000
  #else
    private static let mutantCount = 20_000
  #endif

  static let names = FuzzCatalog.all.map(\.name)

  @Test("the names of targets are unique, and each has seeds to begin with")
  func catalog() {
    #expect(Set(Self.names).count == Self.names.count)
    for target in FuzzCatalog.all { #expect(!target.seeds.isEmpty, "\(target.name)") }
  }

  @Test("seeds, and inputs that once broke it, are read without harm", arguments: names)
  func seeds(name: String) throws {
    let target = try #require(FuzzCatalog.target(name))
    for input in target.seeds + target.regressions + [[]] { try run(target, input) }
  }

  @Test("mutants of the seeds are read without harm", arguments: names)
  func mutants(name: String) throws {
    let target = try #require(FuzzCatalog.target(name))
    var mutator = InputMutator(
      seed: 1, inputs: target.seeds + target.regressions, words: target.words)
    for _ in 0..<Self.mutantCount { try run(target, mutator.next()) }
  }

  private func run(_ target: FuzzTarget, _ input: [UInt8]) throws {
    do {
      try input.withUnsafeBytes { try target.run($0) }
    } catch {
      Issue.record("\(target.name): \(error), for \(input)")
    }
  }
}
