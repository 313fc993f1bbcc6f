import Testing

@testable import smartcontent

@Suite("What is said about how far a long piece of work is")
struct ProgressTextTests {
  private static let second: Int64 = 1_000_000

  /// - Parameter looks: done, total and time in seconds.
  private func texts(
    _ looks: [(done: UInt64, total: UInt64, at: Int64)], hasBar: Bool = false
  ) -> [String] {
    var text = ProgressText("default v2", unit: "frames")
    return looks.map {
      text.text(done: $0.done, total: $0.total, at: $0.at * Self.second, hasBar: hasBar)
    }
  }

  @Test("a rate and what is left come with the second look, from what was done since the first")
  func rate() {
    #expect(
      texts([(500, 2000, 100), (1000, 2000, 105), (1990, 2000, 115), (2000, 2000, 116)]) == [
        "default v2 500/2000 frames (25 %)",
        "default v2 1000/2000 frames, 100/s, 10 s left (50 %)",
        "default v2 1990/2000 frames, 99/s, 0.1 s left (99 %)",
        "default v2 2000/2000 frames, 93/s (100 %)",
      ])
  }

  @Test("a total that grows, one that is passed, and none at all are told as they are")
  func totals() {
    #expect(
      texts([(0, 10, 0), (10, 20, 1), (30, 20, 2)]) == [
        "default v2 0/10 frames (0 %)",
        "default v2 10/20 frames, 10/s, 1.0 s left (50 %)",
        "default v2 30/20 frames, 15/s (100 %)",
      ])
    #expect(texts([(0, 0, 0), (0, 0, 9)]).allSatisfy { $0 == "default v2 0/0 frames (100 %)" })
  }

  @Test("where nothing moves no rate is told")
  func standing() {
    #expect(
      texts([(7, 10, 0), (7, 10, 60)]).allSatisfy { $0 == "default v2 7/10 frames (70 %)" })
    // Two looks at the same time have no rate either.
    #expect(texts([(7, 10, 5), (8, 10, 5)])[1] == "default v2 8/10 frames (80 %)")
  }

  @Test(
    "the bar is thirty places wide and filled as far as the work is",
    arguments: [(0, 0), (33, 0), (34, 1), (500, 15), (999, 29), (1000, 30), (1200, 30)]
      as [(UInt64, Int)])
  func bar(done: UInt64, filled: Int) {
    let text = texts([(done, 1000, 0)], hasBar: true)[0]
    let bar =
      "[" + String(repeating: "█", count: filled) + String(repeating: "·", count: 30 - filled)
    #expect(text.hasPrefix("\(bar)] \(min(done, 1000) / 10) % default v2 \(done)/1000 frames"))
  }

  @Test(
    "durations are told in the units that people use",
    arguments: [
      (0, "0.0 s"), (0.27, "0.2 s"), (9.99, "9.9 s"), (10, "10 s"), (59.9, "59 s"),
      (60, "1 min 0 s"), (3599, "59 min 59 s"), (3600, "1 h 0 min"), (90_061, "25 h 1 min"),
      (1e300, "596523 h 14 min"),
    ])
  func durations(seconds: Double, text: String) {
    #expect(ProgressText.duration(seconds) == text)
  }
}
