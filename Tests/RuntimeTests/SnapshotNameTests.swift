import Testing

@testable import Runtime

@Suite struct SnapshotNameTests {
  @Test("The name of a snapshot says what it holds, and other names are none")
  func names() {
    for name in [SnapshotName.base(0), .base(.max), .increment(from: 0, to: 1 << 40)] {
      #expect(SnapshotName("\(name)") == name)
    }
    let zeros = String(repeating: "0", count: 20)
    let one = String(repeating: "0", count: 19) + "1"
    for other in [
      "", "base", "base-1", "base-\(zeros)x", "head-\(zeros)", "base-\(zeros)-\(one)",
      "increment-\(one)", "increment-\(one)-\(zeros)", "increment-\(one)-\(one)",
    ] {
      #expect(SnapshotName(other) == nil, "\(other)")
    }
  }

  private func chain(_ names: SnapshotName...) -> [SnapshotName] {
    SnapshotChain.best(of: names.shuffled()).names
  }

  @Test("The best chain is the one that reaches farthest")
  func farthest() {
    #expect(chain() == [])
    #expect(chain(.increment(from: 0, to: 5)) == [.increment(from: 0, to: 5)])
    #expect(chain(.increment(from: 1, to: 5)) == [])
    #expect(
      chain(.base(5), .increment(from: 5, to: 7), .increment(from: 8, to: 9))
        == [.base(5), .increment(from: 5, to: 7)])
    #expect(
      chain(
        .increment(from: 0, to: 5), .increment(from: 0, to: 3), .increment(from: 3, to: 9),
        .increment(from: 5, to: 8))
        == [.increment(from: 0, to: 3), .increment(from: 3, to: 9)])
    #expect(
      chain(.base(5), .increment(from: 0, to: 3), .increment(from: 3, to: 9))
        == [.increment(from: 0, to: 3), .increment(from: 3, to: 9)])
  }

  @Test(
    "Of chains that reach equally far the one with the newest base and fewest increments is best")
  func shortest() {
    #expect(
      chain(
        .base(5), .increment(from: 0, to: 5), .increment(from: 5, to: 7),
        .increment(from: 7, to: 9), .base(7))
        == [.base(7), .increment(from: 7, to: 9)])
    #expect(
      chain(
        .increment(from: 0, to: 5), .increment(from: 5, to: 9), .increment(from: 0, to: 9))
        == [.increment(from: 0, to: 9)])
    #expect(chain(.base(9), .increment(from: 0, to: 9)) == [.base(9)])
  }

  @Test("A chain ends at a sequence where it is not much shorter then")
  func shortened() {
    let chain = SnapshotChain.best(of: [
      .base(100), .increment(from: 100, to: 120), .increment(from: 120, to: 130),
    ])
    #expect(chain.upTo(125, givingUpAtMost: 10).end == 120)
    #expect(chain.upTo(120, givingUpAtMost: 10).end == 120)
    #expect(chain.upTo(130, givingUpAtMost: 10) == chain)
    #expect(chain.upTo(200, givingUpAtMost: 10) == chain)
    // Too much would be given up, or all.
    #expect(chain.upTo(125, givingUpAtMost: 9) == chain)
    #expect(chain.upTo(110, givingUpAtMost: 30).end == 100)
    #expect(chain.upTo(99, givingUpAtMost: 30) == chain)
    let young = SnapshotChain.best(of: [.increment(from: 0, to: 5)])
    #expect(young.upTo(4, givingUpAtMost: 30) == young)
  }

  @Test("Everything before the second newest base is superseded")
  func superseded() {
    let names: [SnapshotName] = [
      .base(5), .increment(from: 0, to: 5), .increment(from: 5, to: 7),
      .increment(from: 6, to: 8), .increment(from: 7, to: 9), .base(7), .base(9),
    ]
    #expect(
      Set(SnapshotArchive.superseded(names))
        == [.base(5), .increment(from: 0, to: 5), .increment(from: 5, to: 7)])
    #expect(SnapshotArchive.superseded([.base(5), .increment(from: 0, to: 5)]) == [])
  }
}
