import unittest

from app.pages import page


class Pages(unittest.TestCase):
    def test_the_first_page(self):
        status, body = page("/")
        self.assertEqual(status, 200)
        self.assertIn(b"Hello", body)

    def test_what_is_not_there(self):
        self.assertEqual(page("/nothing")[0], 404)
