import Collector
import Foundation

/// A folder for one test, removed at the end of `body`.
func withFolder<Result>(_ body: (String) async throws -> Result) async throws -> Result {
  let scratch = try ScratchFolder()
  defer { withExtendedLifetime(scratch) {} }
  return try await body(scratch.path)
}

/// The spool's files in order.
func spoolFiles(_ folder: String) throws -> [String] {
  try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".spool") }
    .sorted().map { folder + "/" + $0 }
}

func openSpool(_ folder: String, bytesMax: Int = 1 << 20) throws -> Spool {
  try Spool(folder: folder, bytesMax: bytesMax, log: RunningCollector.quietLog)
}
