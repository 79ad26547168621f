NAME = 'thing'
