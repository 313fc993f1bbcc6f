import Events
import Learning
import Testing

@Suite struct LearningProgressTests {
  @Test("Progress that differs in nothing is equal, so that nobody publishes twice")
  func equality() {
    let position = Position(generation: 1, sequences: [0: 7])
    let progress = LearningProgress(position: position, logTime: 5, isCaughtUp: false)
    var other = progress
    #expect(progress == other)
    other.position.advance(partition: 0, to: 8)
    #expect(progress != other)
  }
}
