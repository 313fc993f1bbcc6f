import Events
import Testing

@Suite("Positions")
struct PositionTests {
  @Test("the text of a position reads back as the same position")
  func roundTrip() {
    var position = Position(generation: 1)
    #expect(position.description == "1")
    position.advance(partition: 3, to: 88)
    position.advance(partition: 0, to: 1204)
    position.advance(partition: 0, to: 7)
    #expect(position.description == "1~0.1204~3.88")
    #expect(Position(position.description) == position)
    let large = Position(generation: .max, sequences: [99: .max])
    #expect(Position(large.description) == large)
  }

  @Test(
    "what is no position is refused",
    arguments: [
      "", "~", "x", "1~", "1~0", "1~0.", "1~.1", "1~0.1~", "1~0.1~0.2", "1~-1.2", "1~0.-2",
      "1~0.1.2", "4294967296", "1~0.18446744073709551616", " 1", "1~0.1 ", "1 ~0.1",
    ])
  func refused(text: String) {
    #expect(Position(text) == nil)
  }

  @Test("a position covers another when every partition has been read as far")
  func covers() throws {
    let here = try #require(Position("1~0.10~1.5"))
    for text in ["1", "1~0.10", "1~0.10~1.5", "1~1.4", "1~2.0", "0~0.99~7.9"] {
      #expect(here.covers(try #require(Position(text))), "\(text)")
    }
    for text in ["1~0.11", "1~0.10~1.6", "1~2.1", "2", "2~0.1"] {
      #expect(!here.covers(try #require(Position(text))), "\(text)")
    }
  }
}
