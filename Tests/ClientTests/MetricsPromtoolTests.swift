import Foundation
import Metrics
import Testing

@Suite("Metrics: promtool")
struct MetricsPromtoolTests {
  static let promtool = ["/usr/bin/promtool", "/usr/local/bin/promtool"].first {
    FileManager.default.isExecutableFile(atPath: $0)
  }

  @Test(
    "promtool finds nothing wrong with the text format",
    .enabled(if: promtool != nil, "SKIPPED: promtool is not installed (apt install prometheus)"))
  func checkMetrics() throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: try #require(Self.promtool))
    process.arguments = ["check", "metrics"]
    let input = Pipe()
    let output = Pipe()
    process.standardInput = input
    process.standardOutput = output
    process.standardError = output
    try process.run()
    try input.fileHandleForWriting.write(
      contentsOf: Data(MetricsTests.filled().exposition(.prometheusText)))
    try input.fileHandleForWriting.close()
    let complaints = try output.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0, "\(String(decoding: complaints, as: UTF8.self))")
  }
}
