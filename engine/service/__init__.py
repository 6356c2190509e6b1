"""The engine thread, the messages that it takes and sends, and the use-cases behind them."""
