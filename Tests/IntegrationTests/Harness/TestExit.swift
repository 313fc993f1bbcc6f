import Glibc
import Synchronization
import Testing

/// What is to be done when a test is over, or the test process: last registered, first done.
enum TestExit {
  /// What was started in a test or suite with the trait `endsWhatItStarts`, and ends with it.
  final class Scope: Sendable {
    private let work = Mutex<[@Sendable () -> Void]>([])

    func add(_ body: @escaping @Sendable () -> Void) { work.withLock { $0.append(body) } }

    func end() {
      let bodies = work.withLock { work in
        defer { work = [] }
        return work
      }
      for body in bodies.reversed() { body() }
    }
  }

  /// Nil where what is started is for the whole process. Detached tasks have none.
  @TaskLocal static var scope: Scope?

  private static let process = Scope()

  /// Ends with the test that has the trait, else with the process.
  static func atEnd(_ body: @escaping @Sendable () -> Void) {
    if let scope {
      scope.add(body)
    } else {
      atProcessEnd(body)
    }
  }

  static func atProcessEnd(_ body: @escaping @Sendable () -> Void) {
    _ = registered
    process.add(body)
  }

  private static let registered: Bool = {
    atexit { TestExit.process.end() }
    return true
  }()
}

/// Ends the servers and programs that a test has started once it is over, so that they put no load on
/// the tests after it.
struct EndsWhatItStarts: SuiteTrait, TestTrait, TestScoping {
  /// Each test of the suite by itself; otherwise what its tests share ends with the suite.
  let isRecursive: Bool

  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    let scope = TestExit.Scope()
    defer { scope.end() }
    try await TestExit.$scope.withValue(scope) { try await function() }
  }
}

extension Trait where Self == EndsWhatItStarts {
  /// Every test ends what it has started.
  static var endsWhatItStarts: Self { EndsWhatItStarts(isRecursive: true) }
  /// What the suite's tests have started, and share, ends with the suite.
  static var endsWhatItShares: Self { EndsWhatItStarts(isRecursive: false) }
}
