"""What a library is: its plain types, the query, what a store offers, and the vectors in memory."""
